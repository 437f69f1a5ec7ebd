// The live page. It takes the place of the page that the exporter wrote once it has its first answer, and asks for
// news: when the stream says that there are any, or else every few seconds.

import { element, say } from "./dom.js";
import { History } from "./history.js";
import { bindKeys } from "./keys.js";
import { List, addressOf } from "./list.js";
import { Kept, periodOf } from "./past.js";
import { Refusal, Source, Stream } from "./source.js";
import { TargetPage } from "./target.js";
import { moment, span } from "./words.js";

const POLL_MS = 5_000;
/** With a stream a poll is a precaution. */
const POLL_LIVE_MS = 30_000;
/** News come with each tick, which may be many a second. */
const NEWS_MS = 1_000;
/** Lines of many areas change little in so many seconds, what is known of one in fewer. */
const [LINES_SECONDS, LEVELS_SECONDS] = [20, 10];
/** Typing that goes on is waited for. */
const TYPING_MS = 150;
/** How long the page says what came of a control. */
const OUTCOME_MS = 15_000;
const ROWS_STEP = 100;
/** So many the exporter gives at once. */
const LIMIT_MAX = 1000;

class App {
  constructor(document) {
    this.root = document.documentElement.dataset.root;
    this.source = new Source(this.root);
    this.main = document.querySelector("main");
    this.history = new History();
    this.trends = new Kept(this.source, LINES_SECONDS);
    this.layers = new Kept(this.source, LINES_SECONDS);
    this.levels = new Kept(this.source, LEVELS_SECONDS);
    this.order = "worst";
    this.rowsMax = ROWS_STEP;
    this.query = "";
    this.list = new List({ onOrder: (order) => this.sort(order), onMore: () => this.showMore() });
    this.targetPage = new TargetPage({ onRange: () => this.refresh() });
    this.pulse = element("span", { class: "pulse" });
    this.notice = element("div", { class: "notice", role: "alert", hidden: true });
    this.search = searchField(() => this.findSoon());
    this.sampleButton = element("button", { type: "button", hidden: true, click: () => this.sample() }, "Sample now");
    this.outcome = element("p", { class: "outcome", role: "status" });
    this.stream = new Stream(this.root, { onNews: () => this.news(), onChange: () => this.plan() });
  }

  start() {
    const bar = element("div", { class: "bar" }, this.search, this.pulse, this.sampleButton, themeButton(), this.outcome);
    document.querySelector("header").append(bar);
    this.main.before(this.notice);
    bindKeys(this);
    addEventListener("hashchange", () => this.go());
    addEventListener("pagehide", () => this.history.save());
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    setInterval(() => this.showPulse(), 1000);
    this.go();
    this.stream.open();
    this.findControls();
  }

  /** Where the address leads: the list, or a target. */
  get place() {
    const parts = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
    return parts.length >= 2 ? { kind: parts[0], target: parts[1], id: parts[2] } : null;
  }

  go() {
    this.shown = null;
    this.targetPage.reach = undefined;
    this.refresh();
  }

  /** Asks and shows; one question at a time, and the newest place wins. */
  async refresh() {
    clearTimeout(this.timer);
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    const { place } = this;
    try {
      if (place) await this.refreshTarget(place);
      else await this.refreshList();
      this.succeed();
    } catch (error) {
      this.fail(error);
    }
    this.asking = false;
    if (this.again) {
      this.again = false;
      this.refresh();
    } else this.plan();
  }

  async refreshList() {
    const asked = this.question;
    const query = { sort: this.order };
    const isLong = this.query || this.rowsMax > LIMIT_MAX;
    const areas = isLong
      ? this.source.all("areas", "areas", query)
      : this.source.get("areas", { ...query, limit: this.rowsMax });
    const trends = this.trends.bring("sparklines", { ...query, limit: isLong ? LIMIT_MAX : this.rowsMax });
    const [status, found] = await Promise.all([this.source.get("status"), areas, trends]);
    this.remember(found.areas, found.taken_at);
    // What was asked for meanwhile is asked next, and would lose rows by an answer to something else.
    if (this.place || this.question !== asked) return;
    this.last = { status, areas: found.areas, hasMore: hasMore(found), now: found.taken_at };
    this.showList();
    this.present(this.list.node, "memleak_exporter");
  }

  /** What the list is to show. */
  get question() {
    return JSON.stringify([this.order, this.rowsMax, this.query]);
  }

  showList() {
    const { order, query, rowsMax, history } = this;
    this.list.show({ ...this.last, order, query, rowsMax, history, lines: this.trends.lines() });
  }

  async refreshTarget({ kind, target, id }) {
    const own = { kind, target };
    const [targets, found, episodes] = await Promise.all([
      this.source.get("targets", own),
      this.source.get("areas", { ...own, sort: "worst", limit: 1000 }),
      this.source.get("episodes", { state: "all", limit: 1000 }),
    ]);
    this.remember(found.areas, found.taken_at);
    const chosen = found.areas.find((area) => area.id === id) ?? found.areas[0];
    if (targets.targets.length === 0 || !chosen) throw new Refusal(404, GONE);
    const path = `areas/${chosen.id}`;
    const [detail] = await Promise.all([this.source.get(path), this.levels.bring(`${path}/history`)]);
    const levels = this.levels.levelsOf(chosen);
    const period = periodOf(this.targetPage.levelOf(levels, detail.area, found.taken_at));
    await this.layers.bring("sparklines", { ...own, sort: "size", period });
    if (addressOf(this.place ?? {}) !== addressOf({ kind, target, id })) return;
    this.targetPage.show({
      target: targets.targets[0],
      areas: found.areas,
      detail,
      episodes: episodes.episodes.filter((episode) => episode.kind === kind && episode.target === target),
      history: this.history,
      levels,
      lines: this.layers.lines(),
      now: found.taken_at,
    });
    this.present(this.targetPage.node, `${target} – memleak_exporter`);
  }

  remember(areas, takenAt) {
    this.takenAt = takenAt;
    areas.forEach((area) => this.history.add(area.id, takenAt, area.size));
  }

  /** Puts a view into the page; the first time it takes the place of what the exporter wrote. */
  present(node, title) {
    document.title = title;
    if (this.main.firstChild === node && this.main.childNodes.length === 1) return;
    const isFirst = !this.main.classList.contains("app");
    // Whoever is typing by now goes on typing.
    const isFree = document.activeElement === document.body || this.main.contains(document.activeElement);
    this.main.classList.add("app");
    this.main.replaceChildren(node);
    document.querySelector("footer .refresh")?.remove();
    if (isFirst) return;
    scrollTo(0, 0);
    if (isFree) this.focusOn(node);
    this.cameFrom = null;
  }

  /** Where a keyboard goes on: at the row that one came from, or at the title. */
  focusOn(node) {
    const links = node === this.list.node && this.cameFrom ? [...node.querySelectorAll("tbody a")] : [];
    const back = links.find((link) => link.hash.startsWith(this.cameFrom));
    if (back) back.focus();
    else node.querySelector("h2").focus({ preventScroll: true });
  }

  succeed() {
    this.failedSince = null;
    this.notice.hidden = true;
    this.showPulse();
  }

  fail(error) {
    this.failedSince ??= this.source.now();
    const isAnswer = error instanceof Refusal;
    const words = isAnswer ? `${error.message} ${error.help}` : `The exporter does not answer. ${this.lastWords()}`;
    this.notice.hidden = false;
    say(this.notice, words.trim());
    if (error === null || !(isAnswer || error instanceof TypeError || error instanceof DOMException)) console.error(error);
    this.showPulse();
  }

  lastWords() {
    if (!this.takenAt) return "Nothing was heard of it yet.";
    return `What you see is of ${moment(this.takenAt, this.source.now())}; the page goes on asking.`;
  }

  showPulse() {
    const isFailing = Boolean(this.failedSince);
    this.pulse.className = `pulse ${isFailing ? "lost" : this.stream.isOpen ? "live" : "polling"}`;
    if (!this.takenAt) return say(this.pulse, isFailing ? "no answer" : "");
    const age = span(this.source.now() - this.takenAt);
    return say(this.pulse, isFailing ? `no answer, last data ${age} ago` : `${this.stream.isOpen ? "live, " : ""}sampled ${age} ago`);
  }

  /** When to ask next without any news. */
  plan() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    this.timer = setTimeout(() => this.refresh(), this.stream.isOpen && !this.failedSince ? POLL_LIVE_MS : POLL_MS);
  }

  news() {
    if (this.newsTimer || document.hidden) return;
    this.newsTimer = setTimeout(() => {
      this.newsTimer = null;
      this.refresh();
    }, NEWS_MS);
  }

  sort(order) {
    this.order = order;
    this.refresh();
  }

  showMore() {
    this.rowsMax += ROWS_STEP;
    this.refresh();
  }

  /** Searches once the typing pauses. */
  findSoon() {
    clearTimeout(this.findTimer);
    this.findTimer = setTimeout(() => this.find(), TYPING_MS);
  }

  /** Searches for what is in the field by now. */
  find() {
    clearTimeout(this.findTimer);
    const query = this.search.value.trim();
    if (query === this.query) return;
    this.query = query;
    if (this.place) location.hash = "#/";
    else {
      if (this.last) this.showList();
      this.refresh();
    }
  }

  /** Goes on in what was found. */
  toFound() {
    this.find();
    this.list.step(1);
  }

  clear() {
    this.search.value = "";
    this.find();
  }

  /** Back to the list, with the focus on where one came from. */
  leave() {
    this.cameFrom = location.hash;
    location.hash = "#/";
  }

  /** What not every exporter has. */
  async findControls() {
    try {
      this.sampleButton.hidden = !(await this.source.paths()).has("/sample");
    } catch {
      // Whatever is the matter, the page says it already; without an answer there are no controls.
    }
  }

  async sample() {
    if (this.isSampling) return; // Not disabled, which would take the focus away.
    this.isSampling = true;
    this.tell("Taking samples…");
    try {
      const { tick } = await this.source.post("sample");
      this.tell(`Samples were taken: tick ${tick.toLocaleString("en")}.`);
      this.refresh();
    } catch (error) {
      const why = error instanceof Refusal ? `${error.message} ${error.help}` : "The exporter does not answer.";
      this.tell(`No samples were taken. ${why}`.trim(), true);
    }
    this.isSampling = false;
  }

  /** Says for a while what came of a control. */
  tell(words, isRefused = false) {
    clearTimeout(this.outcomeTimer);
    say(this.outcome, words);
    this.outcome.classList.toggle("refused", isRefused);
    this.outcomeTimer = setTimeout(() => say(this.outcome, ""), OUTCOME_MS);
  }
}

const GONE = {
  detail: "This target is not there.",
  help: "It ended, or it was renamed. Escape leads back to all areas.",
};

function hasMore({ areas, total }) {
  return areas.length < total && areas.at(-1)?.state !== null;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function searchField(input) {
  return element("input", { type: "search", class: "search", placeholder: "Search  ( / )", "aria-label": "Search areas", input });
}

function themeButton() {
  const isDark = () => {
    const { theme } = document.documentElement.dataset;
    return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const button = element("button", { type: "button", click: () => choose(isDark() ? "light" : "dark") });
  const tell = () => say(button, isDark() ? "Light theme" : "Dark theme");
  const choose = (theme) => {
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("memleak-theme", theme);
    } catch {
      // Forbidden: it holds for this page.
    }
    tell();
    dispatchEvent(new Event("themechange"));
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
  tell();
  return button;
}

const app = new App(document);
addEventListener("themechange", () => app.refresh());
app.start();
