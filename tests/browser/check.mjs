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
  showsAnotherRange,
  samplesNow,
  goesBackToTheRow,
  searches,
  switchesTheme,
  saysWhenNobodyAnswers,
];
try {
  const page = await watched(await open(browser, base));
  for (const step of steps) await told(step, page);
  const alone = [
    drawsThePastAtOnce,
    knowsMoreThanItWasTold,
    pollsWhereThereIsNoStream,
    worksWithoutScripts,
    framesTheWidgetAlone,
    isAccessible,
  ];
  for (const step of alone) await told(step);
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

async function showsAnotherRange(page) {
  const caption = page.locator(".target figcaption").first();
  assert.match(await caption.innerText(), /Remembered since .+ Suspected at .+, confirmed at /);
  const range = page.getByLabel("How much of the past");
  const shown = [];
  const widths = await range.locator("option").evaluateAll((options) => options.map(({ value }) => value).filter(Boolean));
  assert.ok(widths.length > 2, `${widths}: several resolutions`);
  for (const width of widths) {
    await range.selectOption(width);
    await caption.filter({ hasText: new RegExp(`in \\d+ steps of ${Number(Number(width).toFixed(1))} s`) }).waitFor();
    shown.push(await page.locator(".chart canvas").first().evaluate((canvas) => canvas.toDataURL()));
  }
  assert.equal(new Set(shown).size, widths.length, "each range is another picture");
  await page.locator(".target h2").focus();
  await page.keyboard.press("r");
  assert.equal(await range.inputValue(), "", "behind the last one comes that of the page");
  await page.keyboard.press("r");
  assert.equal(await range.inputValue(), widths[0], "and then the first one");
  await range.selectOption("");
}

async function samplesNow(page) {
  const known = complaints.length;
  const button = page.getByRole("button", { name: "Sample now" });
  const outcome = page.locator(".outcome");
  await button.click();
  await outcome.filter({ hasText: /^Samples were taken: tick [\d,]+\.$/ }).waitFor();
  assert.equal(await button.evaluate((node) => node === document.activeElement), true, "the focus stays");
  // At most once a second: one of several in a row is too soon.
  const isTooSoon = async () => (await outcome.innerText()).includes("No samples were taken. Samples were taken less than a second ago.");
  for (let tries = 0; !(await isTooSoon()); tries += 1) {
    assert.ok(tries < 50, `the last was: ${await outcome.innerText()}`);
    const answered = page.waitForResponse((response) => response.url().endsWith("/api/v1/sample"));
    await button.click();
    await answered;
    await outcome.filter({ hasNotText: "Taking samples" }).waitFor();
  }
  // Who asks through a proxy is not this machine.
  await page.route("**/api/v1/sample", (route) => {
    route.continue({ headers: { ...route.request().headers(), "x-forwarded-for": "192.0.2.7" } });
  });
  await button.click();
  await outcome.and(page.locator(".refused")).filter({ hasText: "No samples were taken. Only this machine may change anything" }).waitFor();
  assert.deepEqual(await faultsOf(page), []);
  await page.unroute("**/api/v1/sample");
  await page.locator(".target h2").focus();
  const refusals = complaints.splice(known); // A browser says so too.
  assert.ok(refusals.every((words) => /status of (429|403)/.test(words)), `${refusals}`);
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
  // At once, as whoever types fast does: it goes on in what was found, and stays there.
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), hostile);
  await page.waitForFunction(
    (name) => [...document.querySelectorAll(".areas tbody a")].every((link) => link.textContent === name),
    hostile,
  );
  assert.equal(await page.locator(".areas tbody a").first().innerText(), hostile, "a name is text");
  assert.equal(await page.locator("img").count(), 0, "and nothing else");
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

/** Whoever opens it sees the past in the first picture of the list. */
async function drawsThePastAtOnce() {
  const before = (page) =>
    page.addInitScript(() => {
      const watcher = new MutationObserver(() => {
        const lines = [...document.querySelectorAll(".areas tbody tr .spark-line")];
        if (lines.length === 0) return;
        window.firstLines = lines.map((line) => line.getAttribute("d").split(/[ML]/).length - 1);
        watcher.disconnect();
      });
      watcher.observe(document, { childList: true, subtree: true });
    });
  const list = await watched(await open(browser, base, { before }));
  const lines = await (await list.waitForFunction(() => window.firstLines)).jsonValue();
  assert.ok(lines.length >= 3 && lines.every((points) => points > 10), `points of the first lines: ${lines}`);
  await list.context().close();
}

/** A target's chart has more of the past than the page was told of sizes since it was opened. */
async function knowsMoreThanItWasTold() {
  let sizes = 0;
  const counted = (page) => page.on("response", (response) => (sizes += Number(response.url().includes("/api/v1/areas?"))));
  const target = await watched(await open(browser, pageOf(base, "process", leaking), { before: counted }));
  await drawn(target);
  const words = await target.locator(".chart").first().getAttribute("aria-label");
  const steps = Number(/in (\d+) steps/.exec(words)?.[1]);
  assert.ok(steps > 10 && steps > sizes, `${words}, and ${sizes} sizes were told`);
  const stack = await target.locator(".chart").nth(1).getAttribute("aria-label");
  assert.match(stack, /^Now: .*anon .+; shown for .+ Only what is judged is remembered: files and shared is drawn since/);
  await target.context().close();
}

async function pollsWhereThereIsNoStream() {
  const before = (page) =>
    page.addInitScript(() => {
      window.WebSocket = class extends EventTarget {
        constructor() {
          super();
          setTimeout(() => this.dispatchEvent(new Event("close")));
        }
      };
    });
  const page = await watched(await open(browser, pageOf(base, "process", leaking), { before }));
  await page.locator(".pulse.polling").filter({ hasText: /^sampled/ }).waitFor();
  const size = () => page.locator(".target .tiles dd").first().innerText();
  const first = await size();
  await page.waitForFunction((old) => document.querySelector(".target .tiles dd").innerText !== old, first);
  await page.context().close();
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
