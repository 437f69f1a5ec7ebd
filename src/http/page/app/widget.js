// The small status that other pages embed: how many leaks, and the worst of them.

import { say } from "./dom.js";
import { Source } from "./source.js";
import { answer, countWords, moodOf } from "./verdict.js";
import { moment, span } from "./words.js";

const POLL_MS = 10_000;

const source = new Source(document.documentElement.dataset.root);
const place = document.querySelector(".widget");
const words = place.querySelector("h1");
const worst = place.querySelector(".worst");
const when = place.querySelector(".when");
let takenAt = null;

async function refresh() {
  try {
    const [status, found] = await Promise.all([
      source.get("status"),
      source.get("areas", { sort: "worst", limit: 1 }),
    ]);
    show(status, found.areas[0]);
  } catch {
    lose();
  }
  setTimeout(refresh, POLL_MS);
}

function show(status, area) {
  takenAt = status.taken_at;
  place.className = `widget ${moodOf(status.counts)}`;
  say(words, countWords(status.counts));
  const leaks = area && ["confirmed", "suspected"].includes(area.state) && !area.explained;
  worst.replaceChildren(leaks ? answer(area) : "");
  say(when, `sampled ${span(source.now() - takenAt)} ago`);
}

function lose() {
  place.className = "widget lost";
  say(when, takenAt ? `no answer; this is of ${moment(takenAt, source.now())}` : "no answer");
}

refresh();
