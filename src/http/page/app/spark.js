// The small picture of an area's past beside its numbers.

import { drawn } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 28;
const EDGE = 2;

/** A line through points `[seconds, size]`, broken where a size is missing; an empty picture while there are too few. */
export function sparkline(points) {
  const line = drawn("path", { class: "spark-line" });
  const dot = drawn("circle", { class: "spark-dot", r: 2.25 });
  const svg = drawn("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" }, line, dot);
  redraw(svg, points);
  return svg;
}

/** Draws it anew. */
export function redraw(svg, points) {
  const [line, dot] = svg.children;
  const places = placed(points);
  line.setAttribute("d", places.map((place, index) => step(place, places[index - 1])).join(""));
  const [x, y] = places.at(-1) ?? [-9, -9];
  dot.setAttribute("cx", x);
  dot.setAttribute("cy", y ?? -9);
}

function step([x, y], before) {
  if (y === null) return "";
  return `${before && before[1] !== null ? "L" : "M"}${x} ${y}`;
}

function placed(points) {
  const sizes = points.map(([, size]) => size).filter((size) => size !== null);
  if (sizes.length < 2) return [];
  const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
  const [from, to] = [points[0][0], points.at(-1)[0]];
  // What moves by less than a hundredth of itself looks level: noise must not look like a leak.
  const reach = Math.max(high - low, high * 0.01, 1e-9);
  const bottom = low - (reach - (high - low)) / 2;
  const x = (at) => EDGE + ((at - from) / (to - from)) * (WIDTH - 2 * EDGE);
  const y = (size) => HEIGHT - EDGE - ((size - bottom) / reach) * (HEIGHT - 2 * EDGE);
  return points.map(([at, size]) => [x(at).toFixed(1), size === null ? null : y(size).toFixed(1)]);
}
