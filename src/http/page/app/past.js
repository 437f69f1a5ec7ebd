// The past as the exporter remembers it: a line for each of many areas, or one area at all resolutions.

/** How long a picture waits for the past, in milliseconds: the exporter tells it between two ticks, and one may take long. */
const PATIENCE_MS = 1_500;
/** What a level remembers at most. */
const BUCKETS = 36;
/** What periods the exporter takes, in seconds. */
const [PERIOD_MIN, PERIOD_MAX] = [60, 950_400];
/** Where nothing grows, so much of the past is shown. */
const CALM_SECONDS = 3 * 3600;
/** So much more is shown of the time before a growth began than of the growth. */
const BEFORE = 0.25;

/** An answer about the past, asked for anew now and then; the last one stays where the next does not come. */
export class Kept {
  constructor(source, seconds) {
    this.source = source;
    this.seconds = seconds;
    this.answer = null;
  }

  /** Asks, unless the same was asked a moment ago. Waits no longer than a picture may. */
  async bring(path, query = {}) {
    const question = JSON.stringify([path, query]);
    const now = this.source.now();
    if (question === this.question && now < this.due) return;
    this.question = question;
    this.due = now + this.seconds;
    const answer = this.source.get(path, query).then(
      (told) => question === this.question && (this.answer = told),
      () => {}, // Without a past there is still the present: it is asked again.
    );
    await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  }

  /** The levels of an area, the finest first; those with one bucket show nothing. */
  levelsOf({ id }) {
    const levels = this.answer?.area?.area_id === id ? this.answer.levels : [];
    return levels.filter(({ buckets }) => buckets.length > 1);
  }

  /** The line of each area: points `[seconds, floor]`, with no floor in a gap, and when it ends. */
  lines() {
    const told = this.answer?.sparklines ?? [];
    return new Map(told.filter(({ sizes }) => sizes.length > 0).map((line) => [line.area.area_id, lineOf(line)]));
  }
}

function lineOf({ begin_at: begin, width_seconds: width, sizes }) {
  return { points: sizes.map((size, index) => [begin + (index + 0.5) * width, size]), width, end: begin + sizes.length * width };
}

/** A line and all that was seen since it ended. */
export function continued(line, seen) {
  return line ? [...line.points, ...seen.filter(([at]) => at > line.end)] : seen;
}

/**
 * A line up to now: what was seen since it ended is one more point, the lowest, for lines are those of floors. A moment has no
 * floor, so that it must have been seen for a while.
 */
export function upToNow(line, seen) {
  if (!line || line.points.length < 2) return seen;
  const since = continued(line, seen).slice(line.points.length);
  if (since.length === 0 || since.at(-1)[0] - since[0][0] < line.width / 2) return line.points;
  return [...line.points, [since.at(-1)[0], Math.min(...since.map(([, size]) => size))]];
}

/** The period for which the exporter tells as much as this level has. */
export function periodOf(level) {
  const seconds = level ? Math.ceil(level.width_seconds * BUCKETS) : CALM_SECONDS;
  return `${Math.min(Math.max(seconds, PERIOD_MIN), PERIOD_MAX)}s`;
}

/** The level to be shown: that of the wanted width, or the finest that shows how the growth began. */
export function levelFor(levels, area, width, now) {
  const wanted = levels.find(({ width_seconds: own }) => own === width);
  if (wanted || levels.length === 0) return wanted;
  const since = area.episode?.since_at ?? (area.finding?.growth_per_second.value > 0 ? area.finding.since_at : null);
  const from = since ? since - (now - since) * BEFORE : now - CALM_SECONDS;
  const begins = ({ buckets }) => Math.max(buckets[0].at, from);
  return levels.reduce((finer, coarser) => (begins(coarser) + coarser.width_seconds < begins(finer) ? coarser : finer));
}

/** The rows of a level, `{at, low, high}`, and of finer ones what is newer; a gap is a row without sizes. */
export function rowsOf(levels, level) {
  const rows = [];
  let end = -Infinity;
  for (const { width_seconds: width, buckets } of levels.slice(0, levels.indexOf(level) + 1).reverse()) {
    for (const { at, low, high } of buckets.filter(({ at }) => at > end - width / 2)) {
      if (rows.length > 0 && at > end + width / 2) rows.push({ at: end, low: null, high: null });
      rows.push({ at: at + width / 2, low, high });
      end = at + width;
    }
  }
  return { rows, end };
}
