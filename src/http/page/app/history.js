// What this page has seen of each area, in a bounded memory: the newest, and all of what is not judged, of which the exporter
// itself remembers nothing.

const POINTS_MAX = 240;
const AREAS_MAX = 400;
const KEY = "memleak-history";

export class History {
  constructor() {
    this.areas = new Map();
    this.load();
  }

  /** Adds a size at a moment, in seconds; a moment that is known already is no news. */
  add(id, at, size) {
    const points = this.areas.get(id) ?? [];
    const last = points.at(-1);
    if (last && at <= last[0]) return;
    points.push([at, size]);
    this.areas.delete(id); // Anew at the end: what was seen last is forgotten last.
    this.areas.set(id, points.length > POINTS_MAX ? thinned(points) : points);
    if (this.areas.size > AREAS_MAX) this.areas.delete(this.areas.keys().next().value);
  }

  /** Points of an area, `[seconds, size]`, the oldest first. */
  of(id) {
    return this.areas.get(id) ?? [];
  }

  /** Keeps it for the next page of this tab. */
  save() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify([...this.areas]));
    } catch {
      // Full or forbidden: the next page begins anew.
    }
  }

  load() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
      this.areas = new Map(kept.filter(([id, points]) => typeof id === "string" && Array.isArray(points)));
    } catch {
      this.areas = new Map();
    }
  }
}

/** Every second point of the older half: twice the time in the same room, the newest in full. */
function thinned(points) {
  const middle = points.length >> 1;
  return points.filter((_, index) => index >= middle || index % 2 === 0);
}
