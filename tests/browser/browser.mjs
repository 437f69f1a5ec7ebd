// The browser of the tests: Debian's Chromium, driven by Playwright, which tests/peers/install puts into place.

import { createRequire } from "node:module";

const peers = process.env.MEMLEAK_TEST_PEERS;
if (!peers) throw new Error("MEMLEAK_TEST_PEERS is not set: run tests/run, or tests/peers/install and set it");
const require = createRequire(`${peers}/browser/package.json`);
const { chromium } = require("playwright-core");
export const AXE = require("axe-core").source;

/** Two widths: a desk and a phone. */
export const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function start() {
  const executablePath = `${peers}/bin/chromium`;
  return chromium.launch({ executablePath, args: FLAGS });
}

/** A page of its own memory, at a size and in a theme of the system; `before` prepares it before it is loaded. */
export async function open(browser, url, { size = "desktop", theme = "light", before = () => {}, ...more } = {}) {
  const context = await browser.newContext({ viewport: SIZES[size], colorScheme: theme, ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await before(page);
  await page.goto(url);
  return page;
}

/** The address of a target's page. */
export function pageOf(base, kind, target) {
  return `${base}/#/${encodeURIComponent(kind)}/${encodeURIComponent(target)}`;
}

/** Waits until a target's page shows its chart. */
export async function drawn(page) {
  await page.waitForSelector(".target figcaption:not(:empty)");
  await page.waitForSelector(".chart canvas");
}
