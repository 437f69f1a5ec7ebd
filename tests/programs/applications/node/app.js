// An application in Node with prom-client's default metrics. What it says of itself, apart from those, is its own
// account: the tests compare the two. It ends with its standard input.
//
//     node app.js [PORT [LEAK]]
//
// LEAK is what it leaks on its heap, in bytes a second; each tenth of a second its rate limiter has a key more then.
'use strict';

const http = require('node:http');
const client = require('prom-client');

const MEBIBYTE = 1024 * 1024;
client.collectDefaultMetrics();

// Large enough that the garbage of answering does not matter.
const heap = [];
while (heap.length < 1000000) heap.push({ key: `entry ${heap.length}`, next: heap.at(-1) });
const buffers = Array.from({ length: 64 }, () => Buffer.alloc(MEBIBYTE, 1));

const bridge = new Map();
for (let key = 0; key < 1000; key += 1) bridge.set(key, 'x'.repeat(1000));
const timers = Array.from({ length: 25 }, () => setTimeout(() => {}, 3600 * 1000));

const limiter = new client.Gauge({ name: 'rate_limiter_bytes', help: 'Bytes of the rate limiter.', labelNames: ['shard'] });
limiter.set({ shard: 'a' }, 4096);
limiter.set({ shard: 'b' }, 1024);
const keys = new client.Gauge({ name: 'rate_limiter_keys', help: 'Keys of the rate limiter.' });
keys.set(64);

const answers = new client.Histogram({ name: 'http_request_duration_seconds', help: 'Time to answer.' });

const leak = Number(process.argv[3] ?? 0);
const leaked = [];
if (leak > 0) {
  setInterval(() => {
    for (let bytes = 0; bytes < leak / 10; bytes += 1000) leaked.push(Array.from({ length: 124 }, (_, at) => at + 0.5));
    keys.inc();
  }, 100);
}

function bridgeBytes() {
  let bytes = 0;
  for (const value of bridge.values()) bytes += value.length;
  return bytes;
}

const pages = {
  '/metrics': async () => [client.register.contentType, await client.register.metrics()],
  '/debug/memory': async () => [
    'application/json',
    JSON.stringify({ process: process.memoryUsage(), caches: { bridge: { bytes: bridgeBytes(), entries: bridge.size } } }),
  ],
};

http
  .createServer(async (request, response) => {
    const page = pages[request.url];
    if (!page) {
      response.writeHead(404).end();
      return;
    }
    const answered = answers.startTimer();
    const [type, body] = await page();
    answered();
    response.writeHead(200, { 'content-type': type }).end(body);
  })
  .listen(Number(process.argv[2] ?? 0), '127.0.0.1', function listening() {
    console.log(`ready port=${this.address().port}`);
  });

process.stdin.on('end', () => process.exit(0)).resume();
// Keeps what is held from being collected.
module.exports = { heap, buffers, timers, leaked };
