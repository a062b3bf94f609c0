// Uses the small live pieces of the chapters as a reader does, from the disk: node pieces.mjs SITE [SCREENSHOTS]
import { dirname, join } from "node:path";
import { browser, faults, require, tab } from "./tab.mjs";

const AXE = join(dirname(require.resolve("axe-core")), "axe.min.js");

const [site, shots] = process.argv.slice(2);
const found = { faults, axe: [], early: [], fallback: [] };

async function open(chapter, piece, width = 1400, scheme = "light") {
  await tab.setViewport({ width, height: 900, isMobile: width < 600, hasTouch: width < 600 });
  await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await tab.goto(`file://${site}/book/chapters/${chapter}.html`);
  const place = `[data-piece="${piece}"]`;
  found.early.push(await tab.evaluate(() => performance.getEntriesByType("resource").filter((r) => /pieces/.test(r.name)).length));
  found.fallback.push(await tab.$eval(place, (e) => e.textContent.length));
  await tab.$eval(place, (e) => e.scrollIntoView({ block: "center" }));
  await tab.waitForSelector(`${place}.piece button, ${place}.piece svg`);
  await tab.$eval(place, (e) => e.scrollIntoView({ block: "center" }));
  return place;
}

async function look(chapter, piece) { // on every screen: does it hinder anybody, does it fit?
  for (const width of [1400, 390]) for (const scheme of ["light", "dark"]) {
    const place = await open(chapter, piece, width, scheme);
    await tab.addScriptTag({ path: AXE });
    await tab.waitForFunction(() => getComputedStyle(document.querySelector(".piece")).borderTopWidth !== "0px");
    const rules = await tab.evaluate(async (place) => {
      const { violations } = await window.axe.run(place, { preload: false }); // no style sheet can be fetched from a disk
      return violations.map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 90)}`);
    }, place);
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    found.axe.push(...rules.map((rule) => [piece, width, scheme, rule]), ...(wide > 0 ? [[piece, width, scheme, `${wide} px too wide`]] : []));
    if (shots) await (await tab.$(place)).screenshot({ path: `${shots}/${piece}-${width}-${scheme}.png` });
  }
}

const press = async (keys) => { for (const key of keys) await tab.keyboard.press(key); };
const nth = async (selector, n) => (await tab.$$(selector))[n];

// Softmax: the keyboard moves a score, ticks hide days.
let place = await open("which_days", "softmax");
const weights = () => tab.$eval(place, (e) => e.weights.map((w) => (Number.isNaN(w) ? null : w)));
const said = () => tab.$eval(`${place} p:not(.spoken)`, (e) => e.textContent);
found.softmax = { start: await weights() };
await (await nth(`${place} input[type=range]`, 0)).focus();
await press(Array(5).fill("ArrowRight"));
found.softmax.raised = await weights();
await (await nth(`${place} button`, 0)).click();
found.softmax.shifted = await weights();
await (await nth(`${place} input[type=checkbox]`, 1)).click();
found.softmax.hidden = await weights();
for (const n of [0, 2, 3]) await (await nth(`${place} input[type=checkbox]`, n)).click();
found.softmax.none = await weights();
found.softmax.says = await said();
await look("which_days", "softmax");

// Attention: the pointer and the arrow keys choose who asks; the dials change the head.
place = await open("looking_across", "attention_row");
const state = () => tab.$eval(place, (e) => ({ weights: e.weights, error: e.error }));
found.attention = { start: await state() };
const box = await (await tab.$(`${place} svg`)).boundingBox();
await tab.mouse.move(box.x + box.width * 0.9, box.y + box.height * 0.9);
found.attention.pointed = { ...(await state()), says: await said() };
await tab.$eval(`${place} svg`, (e) => e.focus());
await tab.evaluate(() => { // how much one move computes: its powers are counted
  const exp = Math.exp;
  window.powers = 0;
  Math.exp = (x) => { window.powers++; return exp(x); };
});
await press(["ArrowUp", "ArrowLeft"]);
found.attention.powers = await tab.evaluate(() => window.powers);
found.attention.moved = { ...(await state()), says: await said() };
const errors = {};
for (const width of [0.5, 0.8, 1, 1.2, 1.5, 2, 3, 4]) for (const care of [0, 1]) {
  await tab.$$eval(`${place} input`, (inputs, values) => inputs.forEach((input, i) => {
    input.value = values[i];
    input.dispatchEvent(new Event("input"));
  }), [width, care]);
  errors[`${width} ${care}`] = (await state()).error;
}
found.attention.errors = errors;
await look("looking_across", "attention_row");

// Corrections: a button runs the passes, a click and the keyboard put reports.
place = await open("divide_by_what_was_seen", "corrections");
const row = () => tab.$eval(place, ({ analysis, error, misfit, seen, report, widths }) => ({ analysis, error, misfit, seen, report, widths }));
found.corrections = { start: await row(), passes: [] };
const button = await tab.$(`${place} button`);
for (let p = 0; p < 12; p++) {
  await button.click();
  found.corrections.passes.push(await row());
}
await tab.select(`${place} select`, "up");
found.corrections.turned = await row();
await tab.select(`${place} select`, "down");
await tab.$eval(`${place} svg`, (e) => e.focus());
await press(["ArrowRight", "Space"]);
found.corrections.keyed = await row();
await look("divide_by_what_was_seen", "corrections");
const spot = await (await tab.$(`${place} svg`)).boundingBox(); // a finger, on the phone that was looked at last
await tab.touchscreen.tap(spot.x + spot.width * 0.57, spot.y + spot.height / 2);
found.corrections.tapped = await row();

// Paper: all answers are there, and none of them on a handout.
await tab.emulateMediaType("print");
found.paper = {};
for (const hash of ["", "#handout"]) {
  await tab.goto("about:blank");
  await tab.goto(`file://${site}/book/chapters/which_days.html${hash}`);
  found.paper[hash] = await tab.$$eval("details", (all) => all.filter((one) => getComputedStyle(one).display !== "none").length);
}

console.log(JSON.stringify(found));
await browser.close();
