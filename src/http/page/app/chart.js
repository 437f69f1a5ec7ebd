// The two charts of a target's page, drawn by uPlot: one area with floor, trend and forecast, and all areas stacked.

import { element, say } from "./dom.js";
import { amount, isPace, moment, sizesOf, span, tickOf } from "./words.js";

const HEIGHT = 290;
/** The forecast goes this much beyond the moment at which the limit is reached. */
const BEYOND = 1.15;
/** Without a limit in reach the forecast is as long as this share of the past. */
const AHEAD = 0.75;
/** A limit that is further away than this many times the past would press the past into a corner. */
const REACH = 8;
/** A forecast needs so much past at least to be seen beside it. */
const PAST_MIN_SECONDS = 60;

/**
 * What a chart of an area is drawn from; all sizes in the unit of the area. The floor of a verdict is that of one member,
 * so the forecast of several together starts from their size.
 */
export function outlook(area, { points, now, reachLimit, members }) {
  const { finding } = area;
  const since = area.episode ? area.episode.since_at : finding?.since_at;
  const past = points.length > 1 ? points : [[now - PAST_MIN_SECONDS, area.size], [now, area.size]];
  const begins = Math.min(past[0][0], finding && since ? since : now - PAST_MIN_SECONDS);
  const rate = finding?.growth_per_second;
  const isGrowing = Boolean(rate && rate.value > 0 && isPace(rate.value, area.unit));
  const toLimit = finding?.time_to_limit_seconds?.value ?? null;
  const canReach = isGrowing && toLimit !== null;
  const reaches = canReach && (reachLimit ?? toLimit <= REACH * (now - begins));
  const ahead = reaches ? toLimit * BEYOND : (now - begins) * AHEAD;
  const base = members > 1 && area.pid === null ? area.size : (finding?.floor ?? area.size);
  return { area, now, past, base, since: Math.max(since ?? begins, begins), rate, isGrowing, canReach, reaches, ahead };
}

/** The series of an outlook: one list of moments, and a value or nothing for each of them in each series. */
export function seriesOf({ area, now, past, base, since, rate, isGrowing, reaches, ahead }) {
  const times = new Map();
  const put = (at, key, value) => times.set(at, { ...times.get(at), [key]: value });
  past.forEach(([at, size]) => put(at, "size", size));
  if (isGrowing) {
    // What the finding says of the past: the floor has grown at this rate since then.
    put(since, "floor", Math.max(base - rate.value * (now - since), 0));
    put(now, "floor", base);
    const { slowest, fastest, earliest } = intervalOf(area);
    const most = base + (earliest === null ? Infinity : area.limit.room);
    // The fastest course ends at the limit, where another point bends it.
    for (const passed of [0, earliest ?? 0, ahead].filter((passed) => passed <= ahead)) {
      put(now + passed, "forecast", base + rate.value * passed);
      put(now + passed, "lower", base + slowest * passed);
      put(now + passed, "upper", Math.min(base + fastest * passed, most));
    }
  }
  // Others may use some of it too: this area reaches it with what room is left.
  if (reaches && area.limit) for (const at of [Math.min(...times.keys()), now + ahead]) put(at, "limit", base + area.limit.room);
  const moments = [...times.keys()].sort((one, other) => one - other);
  return [moments, ...KEYS.map((key) => moments.map((at) => times.get(at)[key] ?? null))];
}

/** Between which rates the growth lies, and when the fastest reaches the limit: what the time to it says counts too. */
function intervalOf({ finding, limit }) {
  const { value, lower, upper } = finding.growth_per_second;
  const time = limit ? finding.time_to_limit_seconds : null;
  const earliest = time?.lower > 0 ? time.lower : null;
  const fastest = Math.max(upper ?? value, earliest === null ? 0 : limit.room / earliest);
  const slowest = Math.min(lower ?? value, time?.upper > 0 ? limit.room / time.upper : Infinity);
  return { slowest: Math.max(slowest, 0), fastest, earliest };
}

const KEYS = ["size", "floor", "forecast", "lower", "upper", "limit"];

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
    hooks: { setCursor: [(plot) => readOut(figure, plot)] },
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
  const room = Math.max(high - low, Math.abs(high) * 0.02, 1) * 0.08;
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

/** The chart of one area. */
export class AreaChart extends Figure {
  constructor() {
    super("");
  }

  show(area, view) {
    const look = outlook(area, view);
    this.unit = area.unit;
    const data = seriesOf(look);
    this.draw(`${area.id} ${look.isGrowing} ${look.reaches}`, data, () => areaOptions());
    const words = chartWords(look);
    this.place.setAttribute("aria-label", words);
    say(this.caption, words);
    legend(this.legend, LEGEND.filter(([key]) => data[KEYS.indexOf(key) + 1].some((value) => value !== null)));
    return look;
  }
}

const LEGEND = [
  ["size", "Size", "ink-size"],
  ["floor", "Floor since the growth began", "ink-floor"],
  ["forecast", "Forecast with its interval", "ink-forecast"],
  ["limit", "Limit", "ink-limit"],
];

function areaOptions() {
  const line = (label, name, more = {}) => ({ label, stroke: colour(name), width: 2, spanGaps: true, points: { show: false }, ...more });
  const edge = { width: 0, stroke: "transparent" };
  return {
    series: [
      {},
      line("size", "size"),
      line("floor", "floor", { width: 1.5, dash: [2, 4] }),
      line("forecast", "forecast", { dash: [8, 5] }),
      line("at least", "forecast", edge),
      line("at most", "forecast", edge),
      line("limit", "bad", { width: 1.5 }),
    ],
    bands: [{ series: [5, 4], fill: colour("forecast", 0.16) }],
  };
}

/** What the chart shows, for whoever cannot see it. */
function chartWords({ area, now, past, rate, isGrowing, reaches, canReach }) {
  const seen = `${amount(area.size, area.unit)} at ${moment(area.sampled_at, now)}`;
  if (!isGrowing) return `Size: ${seen}, seen for ${span(now - past[0][0])}. Nothing grows that a forecast could go on from.`;
  const pace = `${amount(rate.value * 3600, area.unit)} an hour`;
  const time = area.finding.time_to_limit_seconds;
  if (!canReach) return `Size: ${seen}. Forecast: ${pace} more. No limit is known.`;
  const until = `the limit in about ${span(time.value)}, at ${moment(now + time.value, now)}`;
  const earliest = `${span(time.lower)} at the earliest`;
  return `Size: ${seen}. Forecast: ${pace} more, ${until}, ${earliest}${reaches ? "" : ", beyond this picture"}.`;
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

  /** @param layers `{name, points}`, the lowest first */
  show(layers, now) {
    const moments = [...new Set(layers.flatMap(({ points }) => points.map(([at]) => at)))].sort((one, other) => one - other);
    const sizes = layers.map(({ points }) => carried(points, moments));
    const sums = [];
    sizes.forEach((values, index) => sums.push(values.map((value, at) => value + (sums[index - 1]?.[at] ?? 0))));
    this.values = [...sizes].reverse();
    this.draw(layers.map(({ name }) => name).join(), [moments, ...sums.reverse()], () => stackOptions(layers));
    const words = layers.map(({ name }, index) => `${name} ${amount(sizes[index].at(-1), "bytes")}`);
    const caption = `Now: ${words.reverse().join(", ")}; seen for ${span(now - moments[0])}.`;
    this.place.setAttribute("aria-label", caption);
    say(this.caption, caption);
    legend(this.legend, layers.map(({ name }, index) => [name, name, `ink-${index + 1}`]).reverse());
  }
}

function stackOptions(layers) {
  const series = layers.map(({ name }, index) => ({
    label: name,
    stroke: colour(`layer-${index + 1}`),
    fill: colour(`layer-${index + 1}`, 0.55),
    width: 1.5,
    points: { show: false },
  }));
  return { series: [{}, ...series.reverse()], scales: { x: { time: false }, y: { range: (_plot, _low, high) => [0, (high || 1) * 1.08] } } };
}

/** A value for each moment: that of the last point until then, or the first one. */
function carried(points, moments) {
  let next = 0;
  let value = points[0]?.[1] ?? 0;
  return moments.map((at) => {
    while (next < points.length && points[next][0] <= at) value = points[next++][1];
    return value;
  });
}
