// One program in Node for record.py: what it does stands in its arguments, see README.md.
'use strict';
const fs = require('fs');
const v8 = require('v8');

const settings = {}, wanted = [];
for (const argument of process.argv.slice(2)) {
  const colon = argument.indexOf(':');
  if (colon < 0 || argument.indexOf('=') < colon) {
    const at = argument.indexOf('=');
    settings[argument.slice(0, at)] = argument.slice(at + 1);
    continue;
  }
  const p = { used: 0, owed: 0, next: 0, seen: 0, list: [], map: new Map() };
  for (const pair of argument.slice(colon + 1).split(',')) {
    const [key, text] = pair.split('=');
    p[key] = text.includes('/') ? text.split('+').map(s => s.split('/').map(Number)) : isNaN(text) ? text : Number(text);
  }
  wanted.push([argument.slice(0, colon), p]);
}

let state = Number(settings.seed) >>> 0;
function random() {
  state = (state + 0x6D2B79F5) >>> 0;
  let x = Math.imul(state ^ (state >>> 15), state | 1);
  x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
  return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
}
const gauss = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const varied = size => Math.max(16, Math.floor(size * (0.5 + random())));
const PATTERN = Buffer.alloc(4 << 20, 'abcdefgh');
let number = 0;

// A flat string: one that is repeated or joined would be a small tree that shares its leaves.
const text = size => PATTERN.latin1Slice(0, size);

function thing(kind, size) {
  number++;
  switch (kind) {
    case 'records': return { number, name: 'record-' + number, payload: text(size), tags: [number, number + 1] };
    case 'closures': { const payload = text(size); return () => payload.length + number; }
    case 'native': case 'buffers': return Buffer.alloc(size, 1);
    case 'numbers': { const a = new Array(size >> 3); for (let i = 0; i < a.length; i++) a[i] = number + i + 0.5; return a; }
    default: return text(size);
  }
}

function keep(p, kind, size) {
  if (kind === 'map') p.map.set('key-' + number, thing(kind, size));
  else p.list.push(thing(kind, size));
  return size;
}

const parts = {
  base(p, now) {
    const want = p.bytes * (p.over ? Math.min(1, now / p.over) : 1);
    while (p.used < want) p.used += keep(p, p.kind, varied(p.size));
  },
  garbage(p, now, dt, load, requests) {
    for (let r = 0; r < requests; r++) {
      const made = [];
      for (let i = Math.max(1, Math.floor(p.bytes / p.size)); i > 0; i--) made.push(thing(p.kind, varied(p.size)));
      p.list.push(made);
      while (p.list.length > p.held) p.list.shift();
    }
  },
  cache(p, now, dt, load, requests) {
    for (p.owed += requests * p.share; p.owed >= 1; p.owed--) {
      const key = Math.floor(p.keys * Math.pow(random(), p.skew));
      const found = p.map.get(key);
      if (found !== undefined) { p.map.delete(key); p.map.set(key, found); continue; }
      p.map.set(key, thing(p.kind, varied(p.size)));
      for (p.used += p.size; p.used > p.max; p.used -= p.size) p.map.delete(p.map.keys().next().value);
    }
  },
  batch(p, now) {
    const since = (now + p.phase) % p.period;
    if (since >= p.last) { p.list = []; p.map = new Map(); p.used = 0; return; }
    while (p.used < p.bytes * Math.min(1, since / (0.3 * p.last))) p.used += keep(p, p.kind, varied(p.size));
  },
  fragment(p, now) {
    if (now < p.next) return;
    p.next = now + p.period * (0.7 + 0.6 * random());
    const fresh = [];
    for (let total = 0; total < p.bytes;) {
      const size = Math.floor(p.size * Math.pow(p.max / p.size, random()));
      fresh.push(thing(p.kind, size));
      total += size;
    }
    p.list.push(fresh.filter((_, i) => i % 2 === 0));
    while (p.list.length > p.keep) p.list.shift();
  },
  warmup(p, now) {
    while (p.steps.length && p.steps[0][0] <= now) {
      for (let left = p.steps.shift()[1]; left > 0;) left -= keep(p, 'map', varied(Math.min(left, p.size)));
    }
  },
  sessions(p, now, dt, load, requests) {
    for (p.owed += requests * p.share; p.owed >= 1; p.owed--) {
      const ends = Math.floor(now + Math.min(7200, -Math.log(1 - random()) * p.life));
      if (!p.map.has(ends)) p.map.set(ends, []);
      p.map.get(ends).push({ user: number, data: thing(p.kind, varied(p.bytes)) });
    }
    for (; p.seen < Math.floor(now); p.seen++) p.map.delete(p.seen);
  },
  pool(p, now, dt, load) {
    const want = Math.min(p.max, p.keys * load * Math.exp(0.4 * gauss()));
    while (p.list.length < want) p.list.push(Buffer.alloc(p.size, 1));
  },
  reload(p, now) {
    if (now < p.next) return;
    p.next = now + p.period;
    const fresh = new Map();
    for (let total = 0; total < p.bytes;) {
      const size = varied(p.size);
      fresh.set(fresh.size, thing(p.kind, size));
      total += size;
    }
    p.map = fresh;
  },
  log(p, now, dt, load, requests) {
    for (let i = Math.floor(requests * p.share); i >= 0; i--) p.list.push(thing('strings', varied(p.size)));
    if (p.list.length * p.size > p.max && p.list.join('\n').length) p.list = [];
  },
  leak(p, now, dt, load) {
    if (now < p.onset) return;
    p.owed += p.rate * dt * (p.by === 'work' ? load : 1);
    if (!p.next) p.next = varied(p.size);
    while (p.owed >= p.next) { p.owed -= keep(p, p.kind, p.next); p.next = varied(p.size); }
  },
};

const curve = fs.readFileSync(settings.load);
const [factor, first, rate, tick, until] = ['factor', 'from', 'rate', 'tick', 'until'].map(k => Number(settings[k]));
const heap = fs.openSync(settings.heap, 'r+');
const start = process.hrtime();
let before = 0, owed = 0, told = -1;

function step() {
  const [s, ns] = process.hrtime(start);
  const now = (s + ns / 1e9) * factor;
  const dt = now - before;
  const load = curve[Math.min(curve.length - 1, Math.floor(first + now))] / 32;
  before = now;
  owed = Math.min(owed + rate * load * dt, 10 * rate + 10);
  const requests = Math.floor(owed);
  owed -= requests;
  for (const [name, p] of wanted) parts[name](p, now, dt, load, requests);
  if (Math.floor(now) > told) {
    told = Math.floor(now);
    fs.writeSync(heap, String(v8.getHeapStatistics().used_heap_size).padStart(16), 0);
  }
  if (now < until) setTimeout(step, tick / factor * 1000);
}
step();
