// A watched program for the end-to-end tests, in JavaScript for Node. README.md beside this file says what every
// option and behaviour means; all five sources follow it alike.
//
// Live memory is made of one-byte strings of 1 to 8 KiB in V8's own heap, each filled with written content and counted
// with its object headers, so that resident memory follows the amount asked for.
'use strict';

// Work happens in short ticks: often enough for a smooth curve at 200 ms sampling, seldom enough to cost no CPU.
const TICK_MS = 40;
// After a stall, garbage is not made up for, since a burst would move the peak and not the floor.
const LONGEST_GARBAGE_SECONDS = 0.2;
const LARGEST_BODY = 8192;
// A string has 16 bytes of header; the link that holds it has a map, properties, elements and two fields of 8 bytes.
const STRING_OVERHEAD = 16 + 5 * 8;

const BEHAVIOURS = ['leak', 'sawtooth', 'warmup', 'daily', 'step', 'steady'];
const PERCENT = { expected: 'a whole number from 0 to 100', read: readPercent };
const WHOLE = { expected: 'a whole number from 0 to 1000000000', read: readWhole };
const POSITIVE = { expected: 'a number above 0, at most 1000000', read: readPositive };
const OPTIONS = {
  '--behaviour': { expected: `one of ${BEHAVIOURS.join(', ')}`, read: readBehaviour },
  '--rate': WHOLE,
  '--onset': WHOLE,
  '--garbage': WHOLE,
  '--sessions': WHOLE,
  '--life': POSITIVE,
  '--swing': PERCENT,
  '--base': WHOLE,
  '--cache': WHOLE,
  '--amplitude': WHOLE,
  '--period': POSITIVE,
  '--seed': WHOLE,
  '--seconds': POSITIVE,
};

function main() {
  const options = readOptions(process.argv.slice(2));
  process.on('SIGTERM', () => process.exit(0));
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
  process.stdin.resume();

  const sizes = randomStream(options['--seed']);
  const base = new Pool(sizes);
  base.resize(options['--base']);
  const live = new Pool(sizes);
  const cache = new Flow(sizes);
  cache.turn(options['--cache'], options['--cache']);
  const sessions = new Flow(sizes);
  const garbage = new Garbage(sizes, options['--garbage']);
  const giveBack = new GiveBack(options['--amplitude']);
  const wanted = liveCurve(options);
  process.stdout.write(`ready pid=${process.pid}\n`);

  const start = process.hrtime.bigint();
  setInterval(() => {
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    // Naming the base here keeps it reachable for as long as the program runs.
    if (seconds >= options['--seconds'] || base.bytes < 0) process.exit(0);
    giveBack.after(live.resize(wanted(seconds)));
    const [entered, bound] = throughTheCache(options, seconds);
    cache.turn(entered, bound);
    const work = doneWork(options, seconds);
    sessions.turn(options['--sessions'] * work, options['--sessions'] * options['--life'] * pace(options, seconds));
    garbage.make(work);
  }, TICK_MS);
}

// The bytes that have entered the cache, and how many it may hold: once it leaks, nothing leaves it.
function throughTheCache(options, seconds) {
  const leaks = options['--behaviour'] === 'leak';
  const bound = options['--cache'];
  if (!leaks && bound === 0) return [0, 0];
  const leaked = leaks ? options['--rate'] * Math.max(0, seconds - options['--onset']) : 0;
  return [bound + options['--rate'] * seconds, bound + leaked];
}

// How much busier than usual the program is: the load swings.
function pace(options, seconds) {
  return 1 + options['--swing'] / 100 * Math.sin(2 * Math.PI * seconds / options['--period']);
}

// The sum of the pace since the start, which is the seconds where the load does not swing.
function doneWork(options, seconds) {
  const turn = 2 * Math.PI / options['--period'];
  return seconds + options['--swing'] / 100 * (1 - Math.cos(turn * seconds)) / turn;
}

// The bytes held above the base and the cache, as a function of the seconds since the start.
function liveCurve(options) {
  const amplitude = options['--amplitude'];
  const period = options['--period'];
  switch (options['--behaviour']) {
    case 'sawtooth': return sawtooth(amplitude, period, randomStream(options['--seed'] + 1));
    case 'warmup': return (seconds) => amplitude * (1 - Math.exp(-seconds / period));
    case 'daily': return (seconds) => amplitude * (1 - Math.cos(2 * Math.PI * seconds / period)) / 2;
    case 'step': return (seconds) => seconds < period ? 0 : amplitude;
    default: return () => 0;
  }
}

// The slope is constant and the drop comes early or late by up to a quarter, so the peaks vary by as much.
function sawtooth(amplitude, period, random) {
  const cycleLength = () => period * (0.75 + 0.5 * random() / 2 ** 32);
  let began = 0;
  let ends = cycleLength();
  return (seconds) => {
    while (seconds >= ends) {
      began = ends;
      ends += cycleLength();
    }
    return amplitude * (seconds - began) / period;
  };
}

// A stack of strings that is resized to a number of bytes, overhead included.
class Pool {
  constructor(sizes) {
    this.sizes = sizes;
    this.bytes = 0;
    this.top = null;
  }

  // Returns the change in bytes: above zero for growth, below for blocks dropped.
  resize(target) {
    const before = this.bytes;
    // Stops within half of the largest block of the target, so that the rounding has no lasting direction.
    while (this.bytes + LARGEST_BODY / 2 <= target) {
      this.top = { text: written(bodySize(this.sizes)), below: this.top };
      this.bytes += this.top.text.length + STRING_OVERHEAD;
    }
    while (this.top && this.bytes - LARGEST_BODY > target) {
      this.bytes -= this.top.text.length + STRING_OVERHEAD;
      this.top = this.top.below;
    }
    return this.bytes - before;
  }
}

// A queue of strings: new ones enter at the end, and the oldest leave once it holds more than it may.
class Flow {
  constructor(sizes) {
    this.sizes = sizes;
    this.bytes = 0;
    this.entered = 0;
    this.oldest = null;
    this.newest = null;
  }

  // Lets strings in until so many bytes have entered in all, and out until it holds no more than the bound.
  turn(entered, bound) {
    while (this.entered + LARGEST_BODY / 2 <= entered) this.enter();
    while (this.oldest && this.bytes - LARGEST_BODY > bound) this.leave();
  }

  enter() {
    const entry = { text: written(bodySize(this.sizes)), next: null };
    if (this.newest) this.newest.next = entry;
    else this.oldest = entry;
    this.newest = entry;
    this.bytes += entry.text.length + STRING_OVERHEAD;
    this.entered += entry.text.length + STRING_OVERHEAD;
  }

  leave() {
    const entry = this.oldest;
    this.oldest = entry.next;
    if (!this.oldest) this.newest = null;
    // An entry that is already old would otherwise keep the next from dying young.
    entry.next = null;
    this.bytes -= entry.text.length + STRING_OVERHEAD;
  }
}

// Short-lived strings: the ones of a tick are held until the next, then dropped.
class Garbage {
  constructor(sizes, bytesPerSecond) {
    this.sizes = sizes;
    this.bytesPerSecond = bytesPerSecond;
    this.last = 0;
    this.owed = 0;
    this.held = [];
  }

  make(seconds) {
    this.owed += this.bytesPerSecond * Math.min(seconds - this.last, LONGEST_GARBAGE_SECONDS);
    this.last = seconds;
    this.held = [];
    while (this.owed > 0) {
      const size = bodySize(this.sizes);
      this.held.push(written(size));
      this.owed -= size + STRING_OVERHEAD;
    }
  }
}

// Asks the runtime to return dropped memory after each eighth of the amplitude, and when a descent has ended.
class GiveBack {
  constructor(amplitude) {
    this.enough = amplitude / 8;
    this.dropped = 0;
  }

  after(change) {
    if (change < 0) this.dropped -= change;
    if (this.dropped > 0 && (this.dropped >= this.enough || change > 0)) {
      this.dropped = 0;
      // Present with --expose-gc; without it V8 collects when it sees fit.
      if (globalThis.gc) globalThis.gc();
    }
  }
}

const scratch = Buffer.alloc(LARGEST_BODY, 'memory ');
let writtenSoFar = 0;

// A flat string of its own with new content: every byte of it is copied, so every page of it is touched.
function written(size) {
  writtenSoFar = (writtenSoFar + 1) >>> 0;
  scratch.writeUInt32LE(writtenSoFar, 0);
  return scratch.latin1Slice(0, size);
}

function bodySize(random) {
  return 1024 << (random() >>> 30);
}

// Xorshift in 32 bits, since every one of the five languages computes it alike.
function randomStream(seed) {
  let state = (Math.imul(seed, 2654435761) + 2654435769) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state;
  };
}

function readOptions(words) {
  const options = {
    '--rate': 200000, '--onset': 0, '--garbage': 4000000, '--sessions': 0, '--life': 5, '--swing': 0,
    '--base': 25165824, '--cache': 0, '--amplitude': 33554432, '--period': 60, '--seed': 1, '--seconds': 900,
  };
  for (let i = 0; i < words.length; i += 2) {
    const name = words[i];
    if (!Object.hasOwn(OPTIONS, name)) {
      refuse(`unknown option '${name}', accepted: ${Object.keys(OPTIONS).join(', ')}`);
    }
    const { expected, read } = OPTIONS[name];
    if (i + 1 === words.length) refuse(`${name}: value missing, expected ${expected}`);
    options[name] = read(words[i + 1]);
    if (options[name] === null) refuse(`${name}: '${words[i + 1]}' is not ${expected}`);
  }
  if (!options['--behaviour']) refuse(`--behaviour: missing, expected ${OPTIONS['--behaviour'].expected}`);
  return options;
}

function readBehaviour(text) {
  return BEHAVIOURS.includes(text) ? text : null;
}

function readWhole(text) {
  return /^[0-9]{1,10}$/.test(text) && Number(text) <= 1e9 ? Number(text) : null;
}

function readPercent(text) {
  return readWhole(text) <= 100 ? readWhole(text) : null;
}

function readPositive(text) {
  return /^[0-9]{1,7}(\.[0-9]{1,6})?$/.test(text) && Number(text) > 0 && Number(text) <= 1e6 ? Number(text) : null;
}

function refuse(message) {
  process.stderr.write(`program: ${message}\n`);
  process.exit(2);
}

main();
