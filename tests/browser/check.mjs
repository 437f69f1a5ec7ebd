// The page of a running exporter in a real browser: check.mjs BASE LEAKING HOSTILE
//
// LEAKING is the target that leaks, and HOSTILE one whose name is markup. Says what it did, one line each, and ends with
// status 1 at the first thing that is not as it should be.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { AXE, drawn, open, pageOf, start } from "./browser.mjs";

const [base, leaking, hostile] = process.argv.slice(2);
/** How long a leak may take until it is confirmed, in milliseconds. */
const PATIENCE_MS = 500_000;
/** The faults of accessibility that matter. */
const GRAVE = ["serious", "critical"];

const browser = await start();
/** What the browser complained of, and what it called outside: nothing of either may happen. */
const complaints = [];

const steps = [
  risesToTheTop,
  listensToTheStream,
  opensByKeyboard,
  showsForecastAndAdvice,
  goesBackToTheRow,
  searches,
  switchesTheme,
  saysWhenNobodyAnswers,
];
try {
  const page = await watched(await open(browser, base));
  for (const step of steps) await told(step, page);
  for (const step of [worksWithoutScripts, framesTheWidgetAlone, isAccessible]) await told(step);
  assert.deepEqual(complaints, []);
} finally {
  await browser.close();
}

async function told(step, page) {
  await step(page);
  console.log(`page: ${step.name}`);
}

async function watched(page) {
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("dialog", (dialog) => complaints.push(`a dialog: ${dialog.message()}`) && dialog.dismiss());
  // A stream that is refused is no fault: the page polls.
  const isFault = (message) => message.type() === "error" && !message.text().startsWith("WebSocket connection");
  page.on("console", (message) => isFault(message) && complaints.push(message.text()));
  const isOurs = (url) => url.startsWith(base) || url.startsWith("data:");
  page.on("request", (request) => isOurs(request.url()) || complaints.push(`a call to ${request.url()}`));
  return page;
}

async function risesToTheTop(page) {
  const first = page.locator(".areas tbody tr").first();
  await first.waitFor();
  // Others are on the list too.
  await page.waitForFunction(() => document.querySelectorAll(".areas tbody tr").length >= 3, null, { timeout: PATIENCE_MS });
  await first.and(page.locator('[data-state="confirmed"]')).filter({ hasText: leaking }).waitFor({ timeout: PATIENCE_MS });
  assert.match(await page.locator(".headline").innerText(), /leaks? confirmed/);
  assert.ok((await page.locator(".headline").innerText()).includes(leaking));
  await page.waitForFunction(() => document.querySelector(".spark-line").points.length > 2);
  for (const column of ["Growth", "Confidence", "Time to limit", "Pattern"]) {
    assert.match(await first.locator(`[data-label="${column}"]`).innerText(), /\w/, column);
  }
}

async function listensToTheStream(page) {
  await page.locator(".pulse.live").filter({ hasText: "live, sampled" }).waitFor();
  const size = () => page.locator('.areas tbody tr [data-label="Size"]').allInnerTexts();
  const [before, requests] = [await size(), []];
  page.on("request", (request) => requests.push(request.url()));
  // News come with each tick, polls every half a minute.
  await page.waitForTimeout(8_000);
  assert.ok(requests.filter((url) => url.includes("/areas")).length >= 4, `news are shown: ${requests}`);
  assert.notDeepEqual(await size(), before);
}

async function opensByKeyboard(page) {
  await page.locator("body").press("j");
  assert.equal(await focused(page), leaking, "j goes to the first row");
  await page.keyboard.press("j");
  assert.notEqual(await focused(page), "");
  await page.keyboard.press("k");
  assert.equal(await focused(page), leaking, "k goes back");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "the focus is visible");
  await page.keyboard.press("Enter");
  await drawn(page);
  assert.equal(await page.locator(".target h2").innerText(), leaking);
  assert.equal(await page.title(), `${leaking} – memleak_exporter`);
}

async function showsForecastAndAdvice(page) {
  const words = await page.locator(".chart").first().getAttribute("aria-label");
  assert.match(words, /Forecast: .+ an hour more, the limit in about .+ at the earliest/);
  assert.ok((await inks(page)) > 3, "size, floor and forecast are drawn in their colours");
  const legend = page.locator(".legend").first();
  const [near, far] = ["Show the near future", "Show until the limit"];
  if (await page.getByText(far).isVisible()) await page.getByText(far).click();
  await page.getByText(near).waitFor();
  assert.match(await legend.innerText(), /Forecast with its interval\s+Limit/);
  assert.match(await page.locator(".advice li").first().innerText(), /\w{3}/);
  assert.equal(await page.locator(".advice .none").count(), 0);
  assert.match(await page.locator(".target").innerText(), /The floor rose .+ steps going up/);
  await page.getByText("Which part grows").waitFor();
  assert.match(await page.locator("section", { hasText: "Episodes" }).innerText(), /open/);
}

/** How many colours are on the first chart. */
async function inks(page) {
  return page.locator(".chart canvas").first().evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const colours = new Map();
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] < 200) continue;
      const colour = `${data[at] >> 5},${data[at + 1] >> 5},${data[at + 2] >> 5}`;
      colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
    return colours.size;
  });
}

async function goesBackToTheRow(page) {
  await page.keyboard.press("Escape");
  await page.locator(".areas tbody tr").first().waitFor();
  await page.waitForFunction((name) => document.activeElement.textContent === name, leaking);
}

async function searches(page) {
  await page.keyboard.press("/");
  await page.keyboard.type(hostile);
  await page.waitForFunction(
    (name) => [...document.querySelectorAll(".areas tbody a")].every((link) => link.textContent === name),
    hostile,
  );
  assert.equal(await page.locator(".areas tbody a").first().innerText(), hostile, "a name is text");
  assert.equal(await page.locator("img").count(), 0, "and nothing else");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".target h2");
  assert.equal(await page.locator(".target h2").innerText(), hostile);
  assert.equal(await page.locator("img").count(), 0);
  await page.keyboard.press("Escape");
  await page.keyboard.press("/");
  await page.keyboard.type("there is nothing of this name");
  await page.getByText("Nothing is called").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction((name) => document.querySelector(".areas tbody a")?.textContent === name, leaking);
}

async function switchesTheme(page) {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: "Dark theme" }).click();
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await page.locator(".areas tbody tr").first().waitFor();
  assert.equal(await ground(), dark, "the choice is remembered");
  await page.getByRole("button", { name: "Light theme" }).click();
  assert.equal(await ground(), light);
}

async function saysWhenNobodyAnswers(page) {
  const known = complaints.length;
  await page.context().setOffline(true);
  await page.getByText("The exporter does not answer. What you see is of").waitFor();
  assert.match(await page.locator(".pulse").innerText(), /no answer, last data/);
  assert.ok(await page.locator(".areas tbody tr").count() > 0, "the last data stay");
  await page.context().setOffline(false);
  await page.locator(".notice").waitFor({ state: "hidden" });
  complaints.splice(known); // A browser says so too.
}

async function worksWithoutScripts() {
  const page = await open(browser, base, { javaScriptEnabled: false });
  assert.match(await page.locator("main").innerText(), /confirmed/);
  assert.ok((await page.locator("main").innerText()).includes(leaking));
  assert.equal(await page.locator('meta[http-equiv="refresh"]').count(), 1);
  await page.goto(`${base}/widget`);
  assert.match(await page.locator("h1").innerText(), /leaks? confirmed/);
  await page.context().close();
}

async function framesTheWidgetAlone() {
  // Another origin of this machine: from beyond it, a browser asks a person first.
  const html = `<!doctype html><iframe src="${base}/widget"></iframe><iframe src="${base}/"></iframe>`;
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end(html));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const page = await open(browser, `http://127.0.0.1:${server.address().port}/`);
  await page.frameLocator("iframe").first().locator(".worst").filter({ hasText: leaking }).waitFor();
  assert.equal(await page.frameLocator("iframe").last().locator("header").count(), 0, "the page is in no frame");
  await page.context().close();
  server.close();
}

async function isAccessible() {
  const places = { list: `${base}/`, target: pageOf(base, "process", leaking), widget: `${base}/widget` };
  const faults = [];
  for (const size of ["desktop", "phone"]) {
    for (const theme of ["light", "dark"]) {
      for (const [place, url] of Object.entries(places)) {
        const page = await watched(await open(browser, url, { size, theme }));
        await ready(page, place);
        faults.push(...(await faultsOf(page)).map((fault) => `${place}, ${size}, ${theme}: ${fault}`));
        const [content, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        if (content > room) faults.push(`${place}, ${size}: ${content} pixels wide in ${room}`);
        await page.context().close();
      }
    }
  }
  assert.deepEqual(faults, []);
}

async function ready(page, place) {
  if (place === "list") await page.locator(".areas tbody tr").first().waitFor();
  if (place === "target") await drawn(page);
  if (place === "widget") await page.locator(".worst").filter({ hasText: leaking }).waitFor();
}

/** Graver faults of accessibility, as axe-core sees them. */
async function faultsOf(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  const grave = violations.filter(({ impact }) => GRAVE.includes(impact));
  return grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`);
}

function focused(page) {
  return page.evaluate(() => document.activeElement.textContent);
}
