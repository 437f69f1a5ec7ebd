// What is said of an area in more than one place: its state, its growth, its time.

import { element, name } from "./dom.js";
import { NOTHING, amount, hourly, isPace, limitOwner, pace, plain, plural, share, span } from "./words.js";

/** The class of a state: confirmed, suspected, none, learning, or plain for what is not judged. */
export function classOf(area) {
  if (area.state === null) return "plain";
  if (area.explained) return "explained";
  return area.state === "none" && !area.finding ? "learning" : area.state;
}

const STATES = {
  confirmed: "confirmed",
  suspected: "suspected",
  none: "no leak",
  learning: "learning",
  explained: "explained",
  plain: "not judged",
};

/** State in a word; the colour only repeats it. */
export function badge(area) {
  const state = classOf(area);
  return element("span", { class: `badge ${state}` }, STATES[state]);
}

/** The severity where it matters. */
export function severity(area) {
  const word = area.finding?.severity;
  return word && word !== "none" && !area.explained ? word : "";
}

export function growth(area) {
  return area.finding ? pace(area.finding.growth_per_second.value, area.unit) : NOTHING;
}

/** The growth's interval; nothing where the lower end is not below the upper one. */
export function growthInterval(area) {
  const { lower, upper } = area.finding.growth_per_second;
  const [from, to] = [hourly(lower, area.unit), hourly(upper, area.unit)];
  return from === to ? "" : `${from} to ${to}`;
}

export function timeToLimit(area) {
  return span(area.finding?.time_to_limit_seconds?.value);
}

/** The interval of the time to the limit, whose upper end may be open. */
export function timeInterval(area) {
  const { lower, upper } = area.finding.time_to_limit_seconds;
  return upper === null ? `at least ${span(lower)}` : `${span(lower)} to ${span(upper)}`;
}

/** How much of the limit is used, and whose it is. */
export function ofLimit(area) {
  if (!area.limit) return "";
  return `${share(area.limit.used / area.limit.value)} of ${amount(area.limit.value, area.unit)}`;
}

export function limitWords(area) {
  return area.limit ? `${limitOwner(area.limit.source)} limit, ${ofLimit(area)} used` : "no limit is known";
}

/** The answer in one sentence: who, how fast, until when. */
export function answer(area) {
  const { growth_per_second: rate, time_to_limit_seconds: time } = area.finding;
  const grows = isPace(rate.value, area.unit)
    ? ` grows by ${amount(rate.value * 3600, area.unit)} an hour`
    : ` has grown by ${amount(area.leaked, area.unit)}`;
  return element("span", {}, name(area.target), grows, time ? ` and reaches its limit in about ${timeToLimit(area)}.` : ".");
}

export function patternOf(area) {
  return area.finding ? plain(area.finding.pattern) : NOTHING;
}

/** `2 leaks confirmed, 1 suspected`. */
export function countWords({ leaks_confirmed: confirmed, leaks_suspected: suspected, areas_judged: judged }) {
  if (confirmed > 0) return `${plural(confirmed, "leak")} confirmed${suspected > 0 ? `, ${suspected} suspected` : ""}`;
  if (suspected > 0) return `${plural(suspected, "leak")} suspected`;
  return judged > 0 ? "No leak is suspected" : "No verdict yet";
}

/** bad, warn, good, or nothing where nothing is judged yet. */
export function moodOf({ leaks_confirmed: confirmed, leaks_suspected: suspected, areas_judged: judged }) {
  if (confirmed > 0) return "bad";
  if (suspected > 0) return "warn";
  return judged > 0 ? "good" : "";
}
