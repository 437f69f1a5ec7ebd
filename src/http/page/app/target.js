// One target: what is found of it, where that leads, why, and what to do next.

import { AreaChart, StackChart, stepWords } from "./chart.js";
import { become, element, name, say } from "./dom.js";
import { addressOf } from "./list.js";
import { continued, levelFor, rowsOf } from "./past.js";
import {
  answer, badge, classOf, growth, growthInterval, limitWords, ofLimit, patternOf, severity, timeInterval, timeToLimit,
} from "./verdict.js";
import { NOTHING, amount, moment, pace, plain, plural, sentence, share, span } from "./words.js";

/** Areas that hold what others hold too, and so belong in no sum. */
const TOTALS = new Set(["rss", "rss_peak", "usage", "peak", "heap_after_gc"]);
/** Parts of another area of their kind. */
const WITHIN = { cgroup: new Set(["shmem", "slab", "swap"]), process: new Set(["swap"]), host: new Set(["swap"]) };
const LAYERS_MAX = 6;
const EPISODES_MAX = 20;

/** The choice of a range that is left to the page. */
const AUTOMATIC = "";

export class TargetPage {
  /** @param hooks onRange() */
  constructor({ onRange }) {
    this.reach = undefined;
    this.onRange = onRange;
    this.head = element("div", { class: "target-head" });
    this.figures = element("dl", { class: "tiles" });
    this.tabs = element("nav", { class: "tabs", "aria-label": "Areas with a verdict" });
    this.chart = new AreaChart();
    this.stack = new StackChart();
    this.ahead = element("button", { type: "button", hidden: true, click: () => this.switchAhead() });
    this.range = element("select", { "aria-label": "How much of the past", hidden: true, change: () => this.takeRange() });
    this.advice = element("ol", { class: "advice" });
    this.why = element("div");
    this.sections = Object.fromEntries(["areas", "parts", "episodes"].map((key) => [key, element("div")]));
    this.stackPanel = panel("What it is made of", this.stack.node);
    this.node = element(
      "div",
      { class: "target" },
      element("p", { class: "back" }, element("a", { href: "#/" }, "← All areas")),
      this.head,
      this.tabs,
      this.figures,
      element(
        "div",
        { class: "columns" },
        panel("Size and forecast", element("div", { class: "tools" }, this.range, this.ahead), this.chart.node),
        element("div", {}, panel("What to do", this.advice), panel("Why", this.why)),
      ),
      this.stackPanel,
      ...["areas", "parts", "episodes"].map((key) => this.sections[key]),
    );
  }

  /**
   * @param state what the page knows: target, areas, detail (of the chosen area), its levels, lines (of all areas, by id),
   *   episodes, history (what the page has seen), now
   */
  show(state) {
    this.state = state;
    const { area } = state.detail;
    this.showHead(state, area);
    this.showTabs(state, area);
    this.showFigures(state, area);
    this.showCharts(state, area);
    this.showAdvice(state.detail);
    this.showWhy(state, area);
    become(this.sections.areas, areasTable(state));
    become(this.sections.parts, partsTable(state));
    become(this.sections.episodes, episodesTable(state));
  }

  showHead({ target }, area) {
    const told = [target.kind, runtimeOf(target), ...placeOf(target)].filter(Boolean).join(" · ");
    const heading = element("h2", { tabindex: "-1" }, name(target.target));
    become(this.head, [
      element("div", { class: "title" }, heading, badge(area), element("small", {}, severity(area))),
      element("p", { class: "note" }, name(told)),
      element("p", { class: `headline ${moodOf(area)}` }, verdictOf(area)),
    ]);
  }

  showTabs({ areas }, chosen) {
    const judged = areas.filter((area) => area.state !== null);
    this.tabs.hidden = judged.length < 2;
    become(
      this.tabs,
      judged.map((area) =>
        element("a", { href: addressOf(area), "aria-current": area.id === chosen.id && "true" }, name(titleOf(area))),
      ),
    );
  }

  showFigures({ now }, area) {
    const { finding, episode } = area;
    const leaked = episode ? `since ${span(now - episode.since_at)} ago` : "no episode is open";
    const figures = [
      ["Size", amount(area.size, area.unit), limitWords(area)],
      ["Growth", growth(area), finding ? growthInterval(area) : ""],
      ["Confidence", share(finding?.confidence), finding ? patternOf(area) : "too little evidence yet"],
      ["Time to limit", timeToLimit(area), finding?.time_to_limit_seconds ? timeInterval(area) : ""],
      ["Leaked so far", episode ? amount(area.leaked, area.unit) : NOTHING, leaked],
    ];
    become(
      this.figures,
      figures.map(([title, value, more]) =>
        element("div", {}, element("dt", {}, title), element("dd", {}, value, element("small", {}, more))),
      ),
    );
  }

  showCharts(state, area) {
    const { now, target, levels, history } = state;
    this.showRanges(levels);
    const level = this.levelOf(levels, area, now);
    const { rows, end } = level ? rowsOf(levels, level) : { rows: [], end: -Infinity };
    const points = history.of(area.id).filter(([at]) => at > end);
    const episodes = state.episodes.filter(({ area_id: id }) => id === area.id);
    const view = { rows, points, levels, level, episodes, now, reachLimit: this.reach, members: target.members };
    const look = this.chart.show(area, view);
    this.ahead.hidden = !look.canReach;
    this.reaches = look.reaches;
    say(this.ahead, look.reaches ? "Show the near future" : "Show until the limit");
    const layers = layersOf(state);
    this.stackPanel.hidden = layers.length < 2;
    if (layers.length > 1) this.stack.show(layers, now);
  }

  /** The level of the range that is chosen, if this area has it. */
  levelOf(levels, area, now) {
    return levelFor(levels, area, Number(this.range.value), now);
  }

  showRanges(levels) {
    this.range.hidden = levels.length < 2;
    const chosen = this.range.value;
    const ranges = levels.map(({ width_seconds: width, buckets }) => {
      const seconds = buckets.at(-1).at + width - buckets[0].at;
      return element("option", { value: width }, `${span(seconds)}, in steps of ${stepWords(width)}`);
    });
    become(this.range, [element("option", { value: AUTOMATIC }, "Past: automatic"), ...ranges]);
    this.range.value = levels.some(({ width_seconds: width }) => String(width) === chosen) ? chosen : AUTOMATIC;
  }

  nextRange() {
    this.range.selectedIndex = (this.range.selectedIndex + 1) % this.range.options.length;
    this.takeRange();
  }

  /** Whoever chooses a range wants to see it: a far limit would press it into a corner. */
  takeRange() {
    this.reach = undefined;
    this.onRange();
  }

  switchAhead() {
    this.reach = !this.reaches;
    this.showCharts(this.state, this.state.detail.area);
  }

  showAdvice({ area, recommendations }) {
    const none = area.explained
      ? "Its growth is that of what leaks inside: look there."
      : "Nothing needs to be done about this area now.";
    const items = recommendations.map(({ text, command }) => element("li", {}, text, command ? commandOf(command) : ""));
    become(this.advice, items.length ? items : [element("li", { class: "none" }, none)]);
  }

  showWhy({ detail }, area) {
    const words = area.finding ? `${sentence(area.finding.evidence.words)}.` : "There are too few samples for a verdict.";
    const budgets = detail.thresholds.filter(({ breached }) => breached !== null);
    const breached = budgets.filter(({ breached }) => breached);
    const kept = budgets.length - breached.length;
    become(this.why, [
      element("p", {}, words),
      breached.length > 0 && element("ul", { class: "breached" }, breached.map(breachOf)),
      kept > 0 && element("p", { class: "note" }, `${sentence(plural(kept, "budget"))} kept.`),
    ].filter(Boolean));
  }
}

function panel(title, ...children) {
  const heading = element("h3", {}, title);
  return element("section", { class: "panel", "aria-label": title }, heading, ...children);
}

function breachOf({ rule, level, words }) {
  return element("li", {}, `Over its budget: ${plain(rule)}, ${words} (${level})`);
}

function commandOf(command) {
  const code = element("code", { tabindex: "0" }, command);
  return element("div", { class: "command" }, code, element("button", { type: "button", click: copy }, "Copy"));
}

/** Copies the command that stands beside the button by now. */
function copy({ currentTarget: button }) {
  navigator.clipboard?.writeText(button.previousSibling.textContent).then(() => {
    say(button, "Copied");
    setTimeout(() => say(button, "Copy"), 2000);
  });
}

function verdictOf(area) {
  if (!area.finding) return "There are too few samples for a verdict.";
  if (area.explained) return "It grows by what leaks inside it.";
  return ["confirmed", "suspected"].includes(area.state) ? answer(area) : "No leak is suspected here.";
}

function moodOf(area) {
  return { confirmed: "bad", suspected: "warn", none: "good" }[classOf(area)] ?? "";
}

function runtimeOf({ info }) {
  return info.runtime;
}

function placeOf({ kind, info, members, restarts, leaks_so_far: leaks }) {
  const named = [["unit", "unit"], ["container", "container"], ["pod", "pod"], ["namespace", "namespace"]];
  return [
    ...named.filter(([key]) => info[key]).map(([key, word]) => `${word} ${info[key]}`),
    kind === "process" ? plural(members, "process") : "",
    restarts > 0 ? plural(restarts, "restart") : "",
    leaks > 0 ? `${plural(leaks, "leak")} confirmed so far` : "",
  ];
}

function titleOf(area) {
  return area.pid === null ? area.area : `${area.area} of pid ${area.pid}`;
}

/** What adds up to the whole: what has a past at the bottom, and of that the largest. */
function layersOf({ target, areas, history, lines }) {
  const within = WITHIN[target.kind] ?? new Set();
  const whole = areas.filter((area) => area.unit === "bytes" && !TOTALS.has(area.area) && !within.has(area.area));
  const layers = whole.filter((area) => area.size > 0).map((area) => {
    const [line, seen] = [lines.get(area.id), history.of(area.id)];
    return { name: titleOf(area), size: area.size, points: continued(line, seen), isRemembered: Boolean(line) };
  });
  if (target.kind === "process") layers.push(...filesOf(areas, history));
  return layers
    .sort((one, other) => other.isRemembered - one.isRemembered || other.size - one.size)
    .slice(0, LAYERS_MAX);
}

/** Of a process, what is resident and not anonymous: files and shared memory. */
function filesOf(areas, history) {
  const find = (wanted) => areas.find(({ area, pid }) => area === wanted && pid === null);
  const [rss, anon, swap] = [find("rss"), find("anon"), find("swap")];
  if (!rss || !anon) return [];
  const at = (area, index) => history.of(area?.id).at(index)?.[1] ?? 0;
  const counted = Math.min(history.of(rss.id).length, history.of(anon.id).length);
  const points = history.of(rss.id).slice(-counted).map(([moment, size], index) => {
    const swapped = at(swap, index - counted);
    return [moment, Math.max(size + swapped - at(anon, index - counted), 0)];
  });
  return [{ name: "files and shared", size: Math.max(rss.size - anon.size, 0), points, isRemembered: false }];
}

function tableOf(title, columns, rows, note = "") {
  if (rows.length === 0) return [];
  const heads = columns.map(([words, kind]) => element("th", { scope: "col", class: kind }, words));
  const lines = rows.map((cells) => element("tr", {}, cells.map((cell, index) => cellOf(cell, index, columns[index][1]))));
  const table = element("table", { class: "plain" }, element("thead", {}, element("tr", {}, heads)), element("tbody", {}, lines));
  const scroll = { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, table` };
  return [panel(title, element("div", scroll, table), note && element("p", { class: "note" }, note))];
}

function cellOf(content, index, kind) {
  return index === 0 ? element("th", { scope: "row", class: kind }, content) : element("td", { class: kind }, content);
}

function areasTable({ areas }) {
  const columns = [["Area", ""], ["Size", "number"], ["Limit", "number"], ["Growth", "number"], ["State", ""]];
  const rows = areas.map((area) => [
    area.state === null ? name(titleOf(area)) : element("a", { href: addressOf(area) }, name(titleOf(area))),
    amount(area.size, area.unit),
    ofLimit(area) || NOTHING,
    growth(area),
    badge(area),
  ]);
  return tableOf("All its areas", columns, rows);
}

function partsTable({ target, now }) {
  const columns = [["Part", ""], ["Size", "number"], ["Growth", "number"], ["Certainty", "number"]];
  const growing = (part) => part.growth_per_second ?? 0;
  const fastest = (one, other) => growing(other) - growing(one) || other.size - one.size;
  const parts = target.parts.filter((part) => part.size > 0 || growing(part) !== 0).sort(fastest);
  const rows = parts.map((part) => {
    const unit = part.measure === "descriptors" ? "objects" : "bytes";
    return [name(partName(part.part)), amount(part.size, unit), pace(part.growth_per_second, unit), share(part.confidence)];
  });
  const readAt = target.parts_read_at;
  return tableOf("Which part grows", columns, rows, readAt ? `Read ${span(now - readAt)} ago; only suspects are looked into.` : "");
}

/** The name of a file is its own; all other parts are words of the exporter. */
function partName(part) {
  return part.startsWith("module:") ? part.replace(":", " ") : plain(part);
}

function episodesTable({ episodes, now }) {
  const columns = [["Area", ""], ["Growing since", ""], ["Suspected", ""], ["Confirmed", ""], ["Ended", ""], ["Leaked", "number"]];
  const at = (time) => (time === null ? NOTHING : moment(time, now));
  const rows = episodes.slice(0, EPISODES_MAX).map(({ area, ended_at: endedAt, episode, leaked, unit }) => [
    name(area),
    at(episode.since_at),
    at(episode.opened_at),
    at(episode.confirmed_at),
    endedAt === null ? "open" : at(endedAt),
    amount(leaked, unit),
  ]);
  return tableOf("Episodes", columns, rows);
}

