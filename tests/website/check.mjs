// Looks at built pages as a reader does, in headless Chromium, and prints what it saw as JSON.
//
//   node check.mjs SITE [PAGE ...]               console, hosts, weights, axe, overflow; all pages if none
//   node check.mjs SITE --lighthouse PAGE ...    Lighthouse scores, phone and desktop
//
// SITE is the folder of the built book. The site is served from this machine, packed by gzip as hosts do.

import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize, relative } from "node:path";
import { gzipSync } from "node:zlib";
import puppeteer from "puppeteer-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const TYPES = {
  ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".json": "application/json",
  ".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2",
  ".ttf": "font/ttf", ".xml": "application/xml", ".txt": "text/plain",
};
const PACKED = new Set([".html", ".css", ".js", ".json", ".svg", ".xml", ".txt"]);
const LOOKS = [1400, 390].flatMap((width) => ["light", "dark"].map((scheme) => ({ width, scheme })));

function serve(site) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
    const file = join(site, path);
    if (!existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    const kind = extname(file);
    const head = { "content-type": TYPES[kind] ?? "application/octet-stream", "cache-control": "max-age=600" };
    if (!PACKED.has(kind)) return createReadStream(file).pipe(response.writeHead(200, head));
    response.writeHead(200, { ...head, "content-encoding": "gzip" }).end(gzipSync(readFileSync(file)));
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

function everyPage(site) {
  return readdirSync(site, { recursive: true })
    .filter((name) => name.endsWith(".html") && !/^_|genindex|search\.html/.test(name))
    .filter((name) => !readFileSync(join(site, name), "utf8").includes('http-equiv="refresh"'));
}

// One load of one page: what it fetched, what it said, what hinders a reader.
async function look(browser, base, path, { width, scheme }) {
  const page = await browser.newPage();
  const seen = { page: path, width, scheme, console: [], failed: [], hosts: [], bytes: 0, axe: [] };
  page.on("console", (m) => ["error", "warn"].includes(m.type()) && seen.console.push(m.text()));
  page.on("pageerror", (e) => seen.console.push(String(e)));
  page.on("requestfailed", (r) => seen.failed.push(r.url()));
  page.on("response", (r) => r.status() >= 400 && seen.failed.push(r.url()));
  page.on("request", (r) => /^https?:/.test(r.url()) && !r.url().startsWith(base) && seen.hosts.push(r.url()));
  const network = await page.createCDPSession();
  await network.send("Network.enable");
  await network.send("Network.setCacheDisabled", { cacheDisabled: true });
  network.on("Network.loadingFinished", (event) => (seen.bytes += event.encodedDataLength));
  await page.setViewport({ width, height: 844, deviceScaleFactor: 1, isMobile: width < 600, hasTouch: width < 600 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(base + path, { waitUntil: "networkidle0", timeout: 60000 });
  const weighed = seen.bytes; // what follows may scroll, and scrolling loads what is lazy
  await page.addScriptTag({ path: join(import.meta.dirname, "node_modules/axe-core/axe.min.js") });
  seen.axe = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.map((v) => ({
      rule: v.id, impact: v.impact, nodes: v.nodes.length, first: v.nodes[0].html.slice(0, 160),
    }));
  });
  seen.overflow = await widerThan(page, width);
  Object.assign(seen, await page.evaluate(small), await page.evaluate(sliders));
  if (width < 600 && scheme === "light") seen.enlarged = await enlarged(page);
  if (width < 600) {
    await page.setViewport({ width: 320, height: 700, isMobile: true, hasTouch: true });
    seen.overflow320 = await widerThan(page, 320);
  }
  if (width > 600 && scheme === "light") seen.formulas = await formulas(page);
  seen.bytes = weighed;
  await page.close();
  return seen;
}

// What stands out of the page at this width, and how many code blocks scroll sideways.
function widerThan(page, width) {
  return page.evaluate((width) => ({
    page: Math.max(0, document.documentElement.scrollWidth - width),
    code: [...document.querySelectorAll("article div.highlight pre")]
      .filter((pre) => pre.offsetParent && pre.scrollWidth > pre.clientWidth + 1).length,
  }), width);
}

// Figures drawn at less than 0.8 of their size that no button enlarges; forms for phones; what the theme does to pixels.
function small() {
  const figures = [...document.querySelectorAll(".bd-article img:not(a img, figure[data-labels] img)")];
  const place = (image) => image.closest("picture") ?? image;
  const narrow = (image) => [...place(image).querySelectorAll("source")].find((one) => matchMedia(one.media).matches);
  const own = (image) => (narrow(image) ?? image).getAttribute("width");
  const shrunk = figures.filter((image) => image.offsetWidth && image.offsetWidth < 0.79 * own(image));
  const silent = shrunk.filter((image) => !place(image).nextElementSibling?.matches("button.enlarge"));
  const phone = figures.filter(narrow).map((image) => ({ shown: image.offsetWidth, own: Number(own(image)), file: image.currentSrc }));
  const filters = { chart: [], other: [] };
  for (const image of figures.filter((one) => !one.src.endsWith(".svg")))
    filters[image.matches(".chart") ? "chart" : "other"].push(getComputedStyle(image).filter);
  return { small: silent.map((image) => image.src), phone, filters };
}

// Presses the first button under a figure, looks at what opens, and leaves by the Escape key.
async function enlarged(page) {
  const button = await page.$(".bd-article button.enlarge");
  if (!button) return null;
  await button.evaluate((one) => (one.scrollIntoView({ block: "center" }), one.click()));
  const size = await page.$eval("dialog.enlarged img", (image) => ({
    shown: image.getBoundingClientRect().width, own: Number(image.getAttribute("width")),
  }));
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("dialog.enlarged"), { timeout: 5000 });
  return size;
}

function sliders() {
  const found = [...document.querySelectorAll(".bd-article input[type=range]")];
  return { sliders: found.map((one) => ({ height: one.offsetHeight, says: one.getAttribute("aria-valuetext") })) };
}

// How many formulas there are, and how many stand drawn once the reader has opened all and come to the first.
async function formulas(page) {
  await page.$$eval(".bd-article details", (found) => found.forEach((one) => (one.open = true)));
  const all = await page.$$eval(".bd-article .math", (found) => (found[0]?.scrollIntoView(), found.length));
  if (all) await page.waitForSelector(".bd-article .math mjx-container", { timeout: 20000 }).catch(() => {});
  if (all) await page.evaluate(() => window.MathJax?.startup?.promise);
  return { all, drawn: await page.$$eval(".bd-article .math:has(mjx-container)", (found) => found.length) };
}

async function lighthouse(browser, base, path, device) {
  const { default: audit, desktopConfig } = await import("lighthouse");
  const page = await browser.newPage();
  const { lhr } = await audit(base + path, { logLevel: "error" }, device === "desktop" ? desktopConfig : undefined, page);
  await page.close();
  const scores = Object.fromEntries(Object.entries(lhr.categories).map(([name, c]) => [name, c.score]));
  const lost = Object.values(lhr.categories) // where the points went.flatMap((c) => c.auditRefs)
    .filter((ref) => ref.weight > 0 && lhr.audits[ref.id].score !== null && lhr.audits[ref.id].score < 0.9)
    .map((ref) => `${ref.id} ${lhr.audits[ref.id].displayValue ?? ""}`.trim());
  return { page: path, device, ...scores, lost };
}

const [site, ...rest] = process.argv.slice(2);
const audits = rest[0] === "--lighthouse";
const pages = audits ? rest.slice(1) : rest.length ? rest : everyPage(site);
const server = await serve(site);
const base = `http://127.0.0.1:${server.address().port}/`;
const browser = await puppeteer.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
try {
  for (const path of pages.map((page) => relative(".", page))) {
    for (const one of audits ? ["phone", "desktop"] : LOOKS) {
      const result = await (audits ? lighthouse : look)(browser, base, path, one);
      console.log(JSON.stringify(result));
    }
  }
} finally {
  await browser.close();
  server.close();
}
