// Uses the page as a reader does, from the disk, and prints what came of it: node paint.mjs PAGE [SCREENSHOTS]
import { browser, faults, tab } from "./tab.mjs";

const [page, shots] = process.argv.slice(2);
const part = (name) => `[data-live="${name}"]`;
const text = (name) => tab.$eval(part(name), (e) => e.textContent);

async function reconstruct() {
  await tab.$eval(part("go"), (e) => e.scrollIntoView({ block: "center" })); // not under the head of the page
  await tab.click(part("go"));
  await tab.waitForFunction(() => /Done|not work/.test(document.querySelector('[data-live="status"]').textContent), { timeout: 60000 });
  const last = await tab.$eval("#live", (app) => {
    const { anomaly, seen, asked, answer, noise, took } = app.state.last, { mean, firstGuess, oi } = answer;
    return { anomaly: [...anomaly], seen: [...seen], asked, noise, took, mean: [...mean], firstGuess: [...firstGuess], oi: [...oi] };
  });
  return { ...last, status: await text("status"), net: await tab.$eval("#live", (app) => app.state.sea.network) };
}

async function shot(name, width, scheme) {
  if (!shots) return;
  await tab.setViewport({ width, height: 900, isMobile: width < 600, hasTouch: width < 600 });
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await new Promise((done) => setTimeout(done, 300));
  await tab.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

await tab.setViewport({ width: 1400, height: 900 });
await tab.goto(`file://${page}`);
await tab.waitForSelector("#live:not([hidden])");
// The stored example plays by itself.
const example = [await text("status")];
await tab.waitForFunction((first) => document.querySelector('[data-live="status"]').textContent !== first, {}, example[0]);
example.push(await text("status"));
await shot("playing-light", 1400, "light");
await tab.click(part("play"));
const stopped = await tab.$eval("#live", (app) => app.state.playing === null);
const before = await text("sky-says");
const fetched = await tab.evaluate(() => performance.getEntriesByType("resource").map((r) => r.name).filter((n) => /ocean-/.test(n)));
// The mouse draws a cloud from corner to corner, on every day.
await tab.$eval(part("sky"), (e) => e.scrollIntoView({ block: "center" }));
const box = await (await tab.$(part("sky"))).boundingBox();
await tab.mouse.move(box.x + 5, box.y + 5);
await tab.mouse.down();
await tab.mouse.move(box.x + box.width - 5, box.y + box.height - 5, { steps: 40 });
await tab.mouse.up();
const painted = await text("sky-says");
const runs = [await reconstruct()];
await shot("wide-light", 1400, "light");
// The keyboard wipes clouds away on one day; the sea that moves answers for that day.
await tab.select(part("sea"), "moving");
await tab.waitForFunction(() => document.getElementById("live").state.sea.days);
await tab.select(part("question"), "day");
await tab.select(part("brush"), "clear");
await tab.select(part("where"), "this");
await tab.focus(part("sky"));
await tab.keyboard.press("ArrowUp");
await tab.keyboard.press("Space");
const spoken = await text("spoken");
runs.push(await reconstruct());
await shot("wide-dark", 1400, "dark");
// Who wants no motion sees the end of the example.
await tab.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
await tab.reload();
await tab.waitForSelector("#live:not([hidden])");
const still = await tab.$eval("#live", ({ state }) => ({ playing: state.playing, days: state.sea.play.days.length }));
still.says = await text("status");
await tab.emulateMediaFeatures([]);
// A phone: the page loads anew, and a finger draws.
await tab.setViewport({ width: 390, height: 844, isMobile: true, hasTouch: true });
await tab.reload();
await tab.waitForSelector("#live:not([hidden])");
await tab.$eval(part("sky"), (e) => e.scrollIntoView({ block: "center" }));
const spot = await (await tab.$(part("sky"))).boundingBox();
await tab.touchscreen.tap(spot.x + spot.width / 2, spot.y + spot.height / 5);
const tapped = await tab.$eval("#live", ({ state: { sea } }) => sea.cloudy.reduce((n, c, i) => n + c - sea.stored[i], 0));
runs.push(await reconstruct());
const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
await shot("phone-dark", 390, "dark");
console.log(JSON.stringify({ faults, example, stopped, still, before, painted, spoken, tapped, fetched, overflow, runs }));
await browser.close();
