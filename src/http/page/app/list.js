// All areas, what matters most at the top.

import { arrange, element, name, say } from "./dom.js";
import { upToNow } from "./past.js";
import { redraw, sparkline } from "./spark.js";
import { answer, badge, classOf, countWords, growth, moodOf, ofLimit, patternOf, severity, timeToLimit } from "./verdict.js";
import { amount, plural, share } from "./words.js";

const COLUMNS = [
  ["State", ""],
  ["Target", ""],
  ["Trend", "trend"],
  ["Size", "number"],
  ["Growth", "number"],
  ["Confidence", "number"],
  ["Time to limit", "number"],
  ["Pattern", ""],
];
const ORDERS = [
  ["worst", "what matters most"],
  ["time_to_limit", "time to limit"],
  ["growth", "growth"],
  ["confidence", "confidence"],
  ["size", "size"],
  ["name", "name"],
];

/** The address of a target's page, or of one of its areas there. */
export function addressOf({ kind, target, id }) {
  return `#/${encodeURIComponent(kind)}/${encodeURIComponent(target)}${id ? `/${id}` : ""}`;
}

export class List {
  /** @param hooks onOrder(word), onMore() */
  constructor(hooks) {
    this.rows = new Map();
    this.headline = element("div", { class: "headline", role: "status" });
    this.counts = element("p", { class: "note" });
    this.body = element("tbody", { role: "rowgroup", click: openRow });
    this.order = orderChoice(hooks.onOrder);
    this.empty = element("p", { class: "empty", hidden: true });
    this.more = element("button", { type: "button", click: hooks.onMore, hidden: true }, "Show more");
    this.note = element("p", { class: "note" });
    this.node = element(
      "div",
      { class: "list" },
      this.headline,
      this.counts,
      element("div", { class: "toolbar" }, element("h2", { tabindex: "-1" }, "Areas"), element("label", {}, "Sorted by ", this.order)),
      table(this.body),
      this.empty,
      element("div", { class: "toolbar" }, this.note, this.more),
    );
  }

  /** Shows what the page knows now. */
  show(state) {
    this.showHeadline(state);
    const areas = state.areas.filter((area) => isShown(area, state.query));
    const shown = areas.slice(0, state.rowsMax);
    for (const id of [...this.rows.keys()]) if (!shown.some((area) => area.id === id)) this.rows.delete(id);
    arrange(this.body, shown.map((area) => this.row(area, upToNow(state.lines.get(area.id), state.history.of(area.id)))));
    this.body.parentNode.hidden = shown.length === 0;
    this.showEnd(state, areas.length, shown.length);
  }

  showHeadline({ status, areas }) {
    const mood = moodOf(status.counts);
    const worst = areas.find((area) => ["confirmed", "suspected"].includes(classOf(area)));
    const words = countWords(status.counts);
    const signature = JSON.stringify([mood, words, worst && [worst.id, growth(worst), timeToLimit(worst)]]);
    if (signature !== this.signature) {
      // Only then, since a screen reader tells each change.
      this.signature = signature;
      this.headline.className = `headline ${mood}`;
      this.headline.replaceChildren(element("strong", {}, words), worst ? answer(worst) : "");
    }
    say(this.counts, summary(status));
  }

  showEnd(state, found, shown) {
    this.order.value = state.order;
    this.order.disabled = false;
    this.empty.hidden = found > 0;
    say(this.empty, emptyWords(state));
    const isAll = found === shown && !state.hasMore;
    this.more.hidden = isAll;
    say(this.note, isAll ? "" : `The first ${plural(shown, "area")}.`);
  }

  row(area, past) {
    let row = this.rows.get(area.id);
    if (!row) this.rows.set(area.id, (row = newRow(area)));
    fill(row, area, past);
    return row.node;
  }

  /** Moves the focus by so many rows. */
  step(by) {
    const links = [...this.body.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
    links[next]?.focus();
    links[next]?.closest("tr").scrollIntoView({ block: "nearest" });
  }
}

/** Without a search only what is judged; a search finds all of it. */
function isShown(area, query) {
  if (!query) return area.state !== null;
  const text = [area.target, area.kind, area.area, area.state ?? "", patternOf(area)].join(" ").toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function summary({ counts, processes, version }) {
  const learning = counts.areas_learning > 0 ? `, ${counts.areas_learning.toLocaleString("en")} still learning` : "";
  const explained = counts.leaks_explained > 0 ? `, ${counts.leaks_explained} explained by what leaks inside` : "";
  const judged = `${plural(counts.areas_judged, "area")} judged${learning}${explained}`;
  return `${judged} · ${plural(counts.targets_running, "target")} · ${plural(processes, "process")} · version ${version}`;
}

function emptyWords({ query, status }) {
  if (query) return `Nothing is called “${query}”. The search looks at targets, kinds, areas, states and patterns.`;
  if (status.counts.targets_running === 0) return "No process is watched: none runs that the configuration includes.";
  return "No area is judged yet. The first verdicts come once there are enough samples.";
}

function orderChoice(onOrder) {
  const options = ORDERS.map(([value, words]) => element("option", { value }, words));
  return element("select", { change: (event) => onOrder(event.target.value) }, options);
}

function table(body) {
  const heads = COLUMNS.map(([words, kind]) => element("th", { scope: "col", role: "columnheader", class: kind }, words));
  return element(
    "table",
    { class: "areas", role: "table", "aria-label": "Areas" },
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, heads)),
    body,
  );
}

function openRow(event) {
  if (event.target.closest("a") || String(getSelection())) return;
  event.target.closest("tr")?.querySelector("a").click();
}

function newRow(area) {
  const cell = (index, ...children) =>
    element("td", { role: "cell", class: COLUMNS[index][1], "data-label": COLUMNS[index][0] }, children);
  const small = () => element("small");
  const parts = {
    badge: element("span"),
    severity: small(),
    spark: sparkline([]),
    size: element("span"),
    limit: small(),
    growth: element("span"),
    confidence: element("span"),
    time: element("span"),
    pattern: element("span"),
  };
  const link = element("a", { href: addressOf(area) }, name(area.target));
  const about = element("small", {}, name(area.area), area.pid === null ? "" : ` of pid ${area.pid}`, ` · ${area.kind}`);
  const node = element(
    "tr",
    { role: "row" },
    cell(0, parts.badge, parts.severity),
    element("th", { scope: "row", role: "rowheader", "data-label": "Target" }, link, about),
    cell(2, parts.spark),
    cell(3, parts.size, parts.limit),
    cell(4, parts.growth),
    cell(5, parts.confidence),
    cell(6, parts.time),
    cell(7, parts.pattern),
  );
  return { node, parts };
}

function fill({ node, parts }, area, past) {
  const state = classOf(area);
  if (node.dataset.state !== state) {
    node.dataset.state = state;
    parts.badge.replaceChildren(badge(area));
  }
  say(parts.severity, severity(area));
  say(parts.size, amount(area.size, area.unit));
  say(parts.limit, ofLimit(area));
  say(parts.growth, growth(area));
  say(parts.confidence, share(area.finding?.confidence));
  say(parts.time, timeToLimit(area));
  say(parts.pattern, patternOf(area));
  redraw(parts.spark, past);
}
