// Takes the pictures of the documentation: pictures.mjs BASE TARGET DIRECTORY
//
// BASE is a running exporter, and TARGET a process target of it that leaks. README.md beside this file says how.

import { drawn, open, pageOf, start } from "./browser.mjs";

const [base, target, directory] = process.argv.slice(2);
/** So long the page is looked at before a picture, in milliseconds: what is not judged has no past. */
const WATCHED_MS = 20_000;

const PICTURES = [
  ["page.png", "/", "desktop", "light", false],
  ["page-dark.png", "/", "desktop", "dark", false],
  ["page-phone.png", "/", "phone", "light", false],
  ["page-target.png", null, "desktop", "light", true],
  ["page-target-phone.png", null, "phone", "dark", true],
];

const browser = await start();
try {
  await Promise.all(PICTURES.map(take));
  await widget();
} finally {
  await browser.close();
}

async function take([file, place, size, theme, fullPage]) {
  const page = await open(browser, place ? base + place : pageOf(base, "process", target), { size, theme });
  await (place ? page.locator(".areas tbody tr").first().waitFor() : drawn(page));
  await page.waitForTimeout(WATCHED_MS);
  await page.screenshot({ path: `${directory}/${file}`, fullPage });
}

async function widget() {
  const page = await open(browser, `${base}/widget`);
  await page.setViewportSize({ width: 420, height: 120 });
  await page.locator(".worst span").waitFor();
  await page.screenshot({ path: `${directory}/page-widget.png` });
}
