// A browser with one tab, and what the tab complains of.
import { createRequire } from "node:module";
export const require = createRequire(new URL("../website/check.mjs", import.meta.url)); // where puppeteer is installed
const puppeteer = require("puppeteer-core").default ?? require("puppeteer-core");

export const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
export const tab = await browser.newPage();
export const faults = [];
tab.on("console", (m) => ["error", "warn"].includes(m.type()) && faults.push(m.text()));
tab.on("pageerror", (e) => faults.push(String(e)));
tab.on("requestfailed", (r) => faults.push(r.url()));
