// The two charts of a target's page, drawn by uPlot: one area with its past, its episodes and a forecast, and all areas stacked.

import { element, say } from "./dom.js";
import { amount, isPace, moment, plural, sentence, sizesOf, span, tickOf } from "./words.js";

const HEIGHT = 290;
/** The forecast goes this much beyond the moment at which the limit is reached. */
const BEYOND = 1.15;
/** Without a limit in reach the forecast is as long as this share of the past. */
const AHEAD = 0.75;
/** A limit that is further away than this many times the past would press the past into a corner. */
const REACH = 8;
/** A forecast needs so much past at least to be seen beside it. */
const PAST_MIN_SECONDS = 60;
/** So many floors tell the present one: any one of them may be off. */
const RECENT_MIN = 3;

/**
 * What a chart of an area is drawn from; all sizes in the unit of the area. The forecast starts from the present floor. That of
 * a verdict is some time old, and of one member alone: it is used where nothing better is remembered.
 * @param view rows (what is remembered: `{at, low, high}`, without sizes in a gap), points (what was seen since),
 *   levels and level (of them), episodes (the newest first), now, reachLimit, members
 */
export function outlook(area, { rows, points, now, reachLimit, members }) {
  const { finding } = area;
  const since = area.episode ? area.episode.since_at : finding?.since_at;
  const seen = rows.length + points.length > 1 ? points : [[now - PAST_MIN_SECONDS, area.size], [now, area.size]];
  const unknown = Math.min(seen[0]?.[0] ?? now, finding && since ? since : now - PAST_MIN_SECONDS);
  const begins = rows[0]?.at ?? unknown;
  const rate = finding?.growth_per_second;
  const isGrowing = Boolean(rate && rate.value > 0 && isPace(rate.value, area.unit));
  const toLimit = finding?.time_to_limit_seconds?.value ?? null;
  const canReach = isGrowing && toLimit !== null;
  const reaches = canReach && (reachLimit ?? toLimit <= REACH * (now - begins));
  const ahead = reaches ? toLimit * BEYOND : (now - begins) * AHEAD;
  const known = members > 1 && area.pid === null ? area.size : (finding?.floor ?? area.size);
  const base = isGrowing ? (floorNow(rows.filter(({ at }) => at > since), rate.value, now) ?? known) : known;
  // Others may use some of the limit too: this area reaches it with what room is left.
  const full = area.limit ? area.size + area.limit.room : null;
  return { area, now, full, rows, seen, begins, base, since: Math.max(since ?? begins, begins), rate, isGrowing, canReach, reaches, ahead };
}

/** The floor of now, when it has grown at this rate since the last of these rows; none from too few of them. */
function floorNow(rows, rate, now) {
  const recent = rows.filter(({ low }) => low !== null).slice(-Math.max(rows.length >> 2, RECENT_MIN));
  if (recent.length < RECENT_MIN) return null;
  return Math.min(...recent.map(({ at, low }) => low + rate * (now - at)));
}

/** The series of an outlook: one list of moments, and for each of them a value, null in a gap, or undefined, in each series. */
export function seriesOf({ area, now, full, rows, seen, base, since, rate, isGrowing, reaches, ahead }) {
  const times = new Map();
  const put = (at, key, value) => times.set(at, { ...times.get(at), [key]: value });
  for (const { at, low, high } of rows) {
    put(at, "low", low);
    put(at, "high", high);
  }
  // What was seen goes on from what is remembered.
  const last = rows.at(-1);
  if (last && seen.length > 0) put(last.at, "size", last.low);
  seen.forEach(([at, size]) => put(at, "size", size));
  if (isGrowing) {
    // What the finding says of the past: the floor has grown at this rate since then.
    put(since, "trend", Math.max(base - rate.value * (now - since), 0));
    put(now, "trend", base);
    const { slowest, fastest, earliest } = intervalOf(area, full - base);
    const most = earliest === null ? Infinity : full;
    // The fastest course ends at the limit, where another point bends it.
    for (const passed of [0, earliest ?? 0, ahead].filter((passed) => passed <= ahead)) {
      put(now + passed, "forecast", base + rate.value * passed);
      put(now + passed, "lower", base + slowest * passed);
      put(now + passed, "upper", Math.min(base + fastest * passed, most));
    }
  }
  if (reaches && full) for (const at of [Math.min(...times.keys()), now + ahead]) put(at, "limit", full);
  const moments = [...times.keys()].sort((one, other) => one - other);
  return [moments, ...KEYS.map((key) => moments.map((at) => times.get(at)[key]))];
}

/** Between which rates the growth lies, and when the fastest reaches the limit: what the time to it says counts too. */
function intervalOf({ finding, limit }, room) {
  const { value, lower, upper } = finding.growth_per_second;
  const time = limit ? finding.time_to_limit_seconds : null;
  const earliest = time?.lower > 0 ? time.lower : null;
  const fastest = Math.max(upper ?? value, earliest === null ? 0 : room / earliest);
  const slowest = Math.min(lower ?? value, time?.upper > 0 ? room / time.upper : Infinity);
  return { slowest: Math.max(slowest, 0), fastest, earliest };
}

const KEYS = ["size", "low", "high", "trend", "forecast", "lower", "upper", "limit"];

/** The colour that the style sheet gives to a name, for a canvas, which knows no style sheet. */
function colour(name, share = 1) {
  const probe = element("i", { hidden: true });
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g);
  probe.remove();
  return `rgba(${red}, ${green}, ${blue}, ${share})`;
}

/** A figure with a chart that follows its width and its theme. */
class Figure {
  constructor(label) {
    this.place = element("div", { class: "chart", role: "img", "aria-label": label });
    this.legend = element("ul", { class: "legend", "aria-hidden": "true" });
    this.readout = element("p", { class: "readout", "aria-hidden": "true" });
    this.caption = element("figcaption");
    this.episodes = [];
    this.node = element("figure", {}, element("div", { class: "chart-head" }, this.legend, this.readout), this.place, this.caption);
    new ResizeObserver(() => this.fit()).observe(this.place);
  }

  /** Draws; a chart of the same series only gets other data. */
  draw(signature, data, options) {
    const key = `${signature} ${getComputedStyle(document.documentElement).colorScheme} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
    if (key === this.key) {
      this.plot.setData(data);
      return;
    }
    this.key = key;
    this.plot?.destroy();
    this.plot = new window.uPlot({ ...frame(this), ...options(), width: this.width(), height: HEIGHT }, data, this.place);
  }

  width() {
    return Math.max(this.place.clientWidth, 200);
  }

  fit() {
    if (this.plot && this.plot.width !== this.width()) this.plot.setSize({ width: this.width(), height: HEIGHT });
  }
}

/** What all charts have in common. */
function frame(figure) {
  const [ink, line] = [colour("quiet"), colour("line", 0.6)];
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const unit = () => figure.unit;
  return {
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    hooks: {
      setCursor: [(plot) => readOut(figure, plot)],
      drawClear: [(plot) => figure.episodes.forEach((episode) => shade(plot, episode, figure.now))],
      draw: [(plot) => mark(plot, figure.episodes)],
    },
    scales: { x: { time: false }, y: { range: (_plot, low, high) => reachOf(low, high) } },
    axes: [
      { ...axis, size: 32, space: 84, values: (plot, splits) => splits.map((at) => tickOf(at, plot.scales.x.max - plot.scales.x.min)), incrs: STEPS },
      { ...axis, size: 68, values: (_plot, splits) => sizesOf(splits, unit()) },
    ],
  };
}

/** Steps of the axis of time, in seconds: what a clock has. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]
  .concat([2, 5, 10, 30, 60, 180, 365, 1825].map((days) => days * 86400));

/** From zero where that does not flatten what is to be seen. */
function reachOf(low, high) {
  if (low === null || high === null) return [0, 1];
  // What moves by less than a fiftieth of itself looks level: noise must not look like a leak.
  const reach = Math.max(high - low, Math.abs(high) * 0.02, 1);
  const room = (reach - (high - low)) / 2 + reach * 0.08;
  const from = low < (high - low) * 2 ? 0 : low - room;
  return [Math.max(from, 0), high + room];
}

function readOut(figure, plot) {
  const { idx } = plot.cursor;
  if (idx === null || idx === undefined) return say(figure.readout, "");
  const values = plot.series.slice(1).map((series, index) => [series.label, (figure.values ?? plot.data.slice(1))[index]?.[idx]]);
  const words = values.filter(([label, value]) => label && value !== null && value !== undefined);
  const parts = words.map(([label, value]) => `${label} ${amount(value, figure.unit)}`);
  return say(figure.readout, parts.length ? `${moment(plot.data[0][idx], plot.data[0].at(-1))}: ${parts.join(", ")}` : "");
}

/** The time of an episode, behind the lines. */
function shade(plot, { episode, ended_at: endedAt }, now) {
  const { left, top, width, height } = plot.bbox;
  const inside = (at) => Math.min(Math.max(plot.valToPos(at, "x", true), left), left + width);
  const from = inside(episode.opened_at);
  plot.ctx.fillStyle = colour("warn", 0.08);
  plot.ctx.fillRect(from, top, inside(endedAt ?? now) - from, height);
}

/** Where an episode became another state: a line each, with its word. */
function mark(plot, episodes) {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * scale}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.lineWidth = 4 * scale;
  ctx.textBaseline = "top";
  const turns = turnsOf(episodes).map(([at, word, name]) => [plot.valToPos(at, "x", true), word, colour(name)]);
  const seen = turns.filter(([x]) => x >= bbox.left && x <= bbox.left + bbox.width);
  for (const [x, , ink] of seen) {
    ctx.fillStyle = ink;
    ctx.fillRect(x - scale / 2, bbox.top, scale, bbox.height);
  }
  ctx.strokeStyle = colour("surface");
  const ends = [];
  for (const [x, word, ink] of seen) {
    // Words stand below each other where they would stand on each other, and on the left where there is no room.
    const width = ctx.measureText(word).width;
    const left = x + width + 6 * scale > bbox.left + bbox.width ? x - width - 4 * scale : x + 4 * scale;
    const free = ends.findIndex((end) => end < left);
    const row = free < 0 ? ends.length : free;
    ends[row] = left + width + 6 * scale;
    ctx.fillStyle = ink;
    ctx.strokeText(word, left, bbox.top + (2 + 14 * row) * scale);
    ctx.fillText(word, left, bbox.top + (2 + 14 * row) * scale);
  }
  ctx.restore();
}

/** The turns of episodes, `[moment, word, colour]`, in the order of time. */
function turnsOf(episodes) {
  const all = episodes.flatMap(({ episode, ended_at: endedAt }) => [
    [episode.opened_at, "suspected", "warn"],
    [episode.confirmed_at, "confirmed", "bad"],
    [endedAt, "ended", "good"],
  ]);
  return all.filter(([at]) => at !== null).sort(([one], [other]) => one - other);
}

/** The chart of one area. */
export class AreaChart extends Figure {
  constructor() {
    super("");
  }

  show(area, view) {
    const look = outlook(area, view);
    this.episodes = view.episodes;
    this.now = view.now;
    this.unit = area.unit;
    const data = seriesOf(look);
    this.draw(`${area.id} ${look.isGrowing} ${look.reaches}`, data, () => areaOptions());
    const words = chartWords(look, view);
    this.place.setAttribute("aria-label", words);
    say(this.caption, words);
    const isDrawn = (key) => data[KEYS.indexOf(key) + 1].some((value) => value !== undefined);
    legend(this.legend, LEGEND.filter(([key]) => isDrawn(key) && !(key === "size" && isDrawn("low"))));
    return look;
  }
}

const LEGEND = [
  ["size", "Size", "ink-size"],
  ["low", "Floor, shaded up to the highest size", "ink-size"],
  ["trend", "Growth as judged", "ink-floor"],
  ["forecast", "Forecast with its interval", "ink-forecast"],
  ["limit", "Limit", "ink-limit"],
];

function areaOptions() {
  const line = (label, name, more = {}) => ({ label, stroke: colour(name), width: 2, points: { show: false }, ...more });
  const edge = { width: 0, stroke: "transparent" };
  return {
    series: [
      {},
      line("size", "size"),
      line("floor", "size"),
      line("highest", "size", { width: 0, stroke: "transparent" }),
      line("trend", "floor", { width: 1.5, dash: [2, 4] }),
      line("forecast", "forecast", { dash: [8, 5] }),
      line("at least", "forecast", edge),
      line("at most", "forecast", edge),
      line("limit", "bad", { width: 1.5 }),
    ],
    bands: [{ series: [3, 2], fill: colour("size", 0.2) }, { series: [7, 6], fill: colour("forecast", 0.16) }],
  };
}

/** What the chart shows, for whoever cannot see it. */
function chartWords(look, view) {
  return [sizeWords(look, view), forecastWords(look), episodeWords(look, view.episodes)].filter(Boolean).join(" ");
}

function sizeWords({ area, now, begins, rows }, { levels, level }) {
  const size = `Size: ${amount(area.size, area.unit)} at ${moment(area.sampled_at, now)}`;
  if (!level) return `${size}, seen for ${span(now - begins)}.`;
  const steps = plural(rows.filter(({ low }) => low !== null).length, "step");
  const finer = level === levels[0] ? "" : " and less";
  return `${size}. Remembered since ${moment(begins, now)}, in ${steps} of ${stepWords(level.width_seconds)}${finer}.`;
}

/** The width of a bucket; the fast motion of a trial has some below a second. */
export function stepWords(seconds) {
  return seconds < 120 ? `${Number(seconds.toFixed(1))} s` : span(seconds);
}

function episodeWords({ now, begins }, episodes) {
  const newest = episodes.filter(({ ended_at: endedAt }) => endedAt === null || endedAt > begins)[0];
  if (!newest) return "";
  const turns = turnsOf([newest]).map(([at, word]) => `${word} at ${moment(at, now)}`);
  return `${sentence(turns.join(", "))}.`;
}

function forecastWords({ area, now, rate, isGrowing, reaches, canReach }) {
  if (!isGrowing) return "Nothing grows that a forecast could go on from.";
  const pace = `${amount(rate.value * 3600, area.unit)} an hour`;
  const time = area.finding.time_to_limit_seconds;
  if (!canReach) return `Forecast: ${pace} more. ${area.limit ? "When it reaches its limit cannot be told yet." : "No limit is known."}`;
  const until = `the limit in about ${span(time.value)}, at ${moment(now + time.value, now)}`;
  const earliest = `${span(time.lower)} at the earliest`;
  return `Forecast: ${pace} more, ${until}, ${earliest}${reaches ? "" : ", beyond this picture"}.`;
}

function legend(list, entries) {
  const signature = entries.map(([, words]) => words).join();
  if (list.dataset.signature === signature) return;
  list.dataset.signature = signature;
  list.replaceChildren(
    ...entries.map(([, words, mark]) => element("li", {}, element("i", { class: `mark ${mark}` }), words)),
  );
}

/** The chart of all areas of a target that add up. */
export class StackChart extends Figure {
  constructor() {
    super("");
    this.unit = "bytes";
  }

  /** @param layers `{name, size, points, isRemembered}`, the lowest first */
  show(layers, now) {
    const moments = [...new Set(layers.flatMap(({ points }) => points.map(([at]) => at)))].sort((one, other) => one - other);
    const sizes = layers.map(({ points }) => sizesAt(points, moments));
    const totals = moments.map(() => 0);
    const sums = sizes.map((values) => values.map((value, at) => (value === null ? null : (totals[at] += value))));
    this.values = [...sizes].reverse();
    this.draw(layers.map(({ name }) => name).join(), [moments, ...sums.reverse()], () => stackOptions(layers));
    const words = stackWords(layers, now);
    this.place.setAttribute("aria-label", words);
    say(this.caption, words);
    legend(this.legend, layers.map(({ name }, index) => [name, name, `ink-${index + 1}`]).reverse());
  }
}

function stackWords(layers, now) {
  const sizes = layers.map(({ name, size }) => `${name} ${amount(size, "bytes")}`).reverse();
  const [first] = layers[0].points[0] ?? [now];
  const young = layers.filter(({ isRemembered }) => !isRemembered).map(({ name }) => name);
  const why = young.length > 0 ? ` Only what is judged is remembered: ${young.join(", ")} is drawn since this page was opened.` : "";
  return `Now: ${sizes.join(", ")}; shown for ${span(now - first)}.${why}`;
}

function stackOptions(layers) {
  const series = layers.map(({ name }, index) => ({
    label: name,
    stroke: colour(`layer-${index + 1}`),
    fill: colour(`layer-${index + 1}`, 0.55),
    width: 1.5,
    points: { show: false },
  }));
  // Each is filled down to the one below it.
  const bands = layers.slice(1).map((_, index) => ({ series: [index + 1, index + 2] }));
  return { bands, series: [{}, ...series.reverse()], scales: { x: { time: false }, y: { range: (_plot, _low, high) => [0, (high || 1) * 1.08] } } };
}

/** A value for each moment, on the line between its neighbours; none before the first one, and in a gap. */
function sizesAt(points, moments) {
  let next = 0;
  return moments.map((at) => {
    while (next < points.length && points[next][0] <= at) next += 1;
    const [since, size] = points[next - 1] ?? [at, null];
    const [until, other] = points[next] ?? [at, null];
    return size === null || other === null ? size : size + ((other - size) * (at - since)) / (until - since);
  });
}
