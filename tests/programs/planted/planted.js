// A program that leaks in one place: planted.js KIND RUN
//
// KIND is objects (in the heap of JavaScript) or buffers (outside of it). RUN tells this run from others. Ends when its
// standard input does.

'use strict';

const STEP_MS = 100;
const STEP_BYTES = 200000;
const kept = [];

const kinds = {
  // About 100 bytes for each with its place in the array.
  objects: () => kept.push(Array.from({ length: STEP_BYTES / 100 }, (_, at) => ({ at, text: `${kept.length} ${at}` }))),
  buffers: () => kept.push(new Uint8Array(new ArrayBuffer(STEP_BYTES)).fill(1)),
};

const step = kinds[process.argv[2]];
process.stdin.resume().on('end', () => process.exit(0));
setInterval(step, STEP_MS);
console.log('ready');
