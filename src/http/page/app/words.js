// Numbers, spans and moments as a person writes them; the same words as in the exporter's own texts.

const UNITS = [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]];
const MINUS = "−";
export const NOTHING = "–";

/** `312 MB`, `4.5 GB`, `37 objects`; a short form without the word for objects. */
export function amount(value, unit, { short = false } = {}) {
  if (value === null || value === undefined) return NOTHING;
  const sign = value < 0 ? MINUS : "";
  const size = Math.abs(value);
  if (unit !== "bytes") return `${sign}${objects(size)}${short ? "" : size === 1 ? " object" : " objects"}`;
  const [factor, word] = UNITS.find(([factor]) => size >= factor) ?? [1, "B"];
  return `${sign}${(size / factor).toFixed(size / factor < 10 && word !== "B" ? 1 : 0)} ${word}`;
}

function objects(count) {
  return count < 10 && !Number.isInteger(count) ? count.toFixed(1) : Math.round(count).toLocaleString("en");
}

/** Growth an hour with its sign, from growth a second. */
export function hourly(perSecond, unit) {
  if (perSecond === null || perSecond === undefined) return NOTHING;
  if (!isPace(perSecond, unit)) return "0";
  return `${perSecond > 0 ? "+" : ""}${amount(perSecond * 3600, unit, { short: true })}`;
}

/** The same with the words for an hour. */
export function pace(perSecond, unit) {
  const change = hourly(perSecond, unit);
  return [NOTHING, "0"].includes(change) ? change : `${change}/h`;
}

/** Whether a growth a second is enough to be told. */
export function isPace(perSecond, unit) {
  return Math.abs(perSecond * 3600) >= (unit === "bytes" ? 1 : 0.05);
}

/** The words for the steps of an axis of sizes: one unit, and as many digits as tell the steps apart. */
export function sizesOf(splits, unit) {
  const largest = Math.max(...splits.map(Math.abs), 0);
  const [factor, word] = unit === "bytes" ? (UNITS.find(([factor]) => largest >= factor) ?? [1, "B"]) : [1, ""];
  const step = Math.abs((splits[1] ?? splits[0] ?? 1) - (splits[0] ?? 0)) / factor || 1;
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(step) - 1e-9), 0), 3);
  return splits.map((size) => `${(size / factor).toFixed(digits)}${word && ` ${word}`}`);
}

/** A share, rounded down, so that 100 % is all of it. */
export function share(value) {
  return value === null || value === undefined ? NOTHING : `${Math.floor(value * 100 + 1e-9)} %`;
}

/** `40 s`, `6 h 10 min`, `3 d 4 h`. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING;
  if (seconds < 120) return `${Math.round(Math.max(seconds, 0))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes - hours * 60} min`;
  const days = Math.floor(hours / 24);
  return days < 1000 ? `${days} d ${hours - days * 24} h` : `${Math.floor(days / 365)} years`;
}

/** A moment on this person's clock, with the date where it is another day than `now`'s. */
export function moment(at, now) {
  const then = new Date(at * 1000);
  const time = then.toLocaleTimeString("en-GB");
  const isToday = then.toDateString() === new Date(now * 1000).toDateString();
  return isToday ? time : `${date(then)} ${time}`;
}

function date(day) {
  const two = (number) => String(number).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

/** A moment for the axis of a chart over so many seconds. */
export function tickOf(at, seconds) {
  const then = new Date(at * 1000);
  if (seconds > 20 * 86400) return date(then);
  const time = then.toLocaleTimeString("en-GB", seconds < 300 ? {} : { hour: "2-digit", minute: "2-digit" });
  return seconds > 86400 ? `${date(then).slice(5)} ${time}` : time;
}

/** A count with its noun. */
export function plural(count, thing) {
  const ending = count === 1 ? "" : thing.endsWith("s") ? "es" : "s";
  return `${count.toLocaleString("en")} ${thing}${ending}`;
}

/** A word of the exporter without its underscores. */
export function plain(word) {
  return word.replaceAll("_", " ");
}

/** The first letter large. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Whose limit it is. */
export function limitOwner(source) {
  const owners = { rlimit: "process", host: "machine", configured: "configured", file_system: "file system" };
  return owners[source] ?? plain(source);
}
