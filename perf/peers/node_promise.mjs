// SPDX-License-Identifier: MIT
// perf/peers/node_promise.mjs - Node.js: promises on one thread; two worker_threads reached by postMessage stand for a pool.
// No blocking get, no shared-memory tasks: post, fib, pingpong and chain_pool have no idiom here.
// Rounds and options as in perf/measure.h.
import net from 'node:net';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const nowNs = () => Number(process.hrtime.bigint());
const ascending = (a, b) => a - b;

function burn(x) {                               // 64-bit multiply has no fast form here: 32-bit steps instead
  for (let i = 0; i < 40000; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return x;
}

function startPool() {
  const pending = new Map();
  let nextId = 0;
  const workers = [0, 1].map(() => {
    const w = new Worker(new URL(import.meta.url), { workerData: 'serve' });
    w.on('message', ({ id, value }) => { const resolve = pending.get(id); pending.delete(id); resolve(value); });
    return w;
  });
  return {
    submit: (job, arg) => new Promise((resolve) => {
      const id = nextId++;
      pending.set(id, resolve);
      workers[id & 1].postMessage({ id, job, arg });
    }),
    stop: () => Promise.all(workers.map((w) => w.terminate())),
  };
}

let pool, latencies, keep = 0, divisor = 1;
const size = (n) => Math.max(1, Math.floor(n / divisor));

function quantiles(v) {
  v.sort(ascending);
  latencies = [0.5, 0.9, 0.99, 0.999].map((share) => v[Math.floor(share * (v.length - 1))]);
  return latencies[0];
}

async function submitGet() {                     // once 100,000: messages are slow
  const n = size(100000), futures = new Array(n);
  await pool.submit('echo', 0);
  const t0 = nowNs();
  for (let i = 0; i < n; i++) futures[i] = pool.submit('echo', i);
  for (const f of futures) keep += await f;
  return (nowNs() - t0) / n;
}

async function readyThen() {                     // the callbacks run as microtasks, at the final await
  const n = size(1000000), ready = Promise.resolve(1);
  const t0 = nowNs();
  let last;
  for (let i = 0; i < n; i++) last = ready.then((v) => v + 1);
  await last;
  return (nowNs() - t0) / n;
}

async function chainInline() {
  const chains = size(1000), links = 1000;
  const t0 = nowNs();
  for (let c = 0; c < chains; c++) {
    let fulfil;
    let f = new Promise((r) => { fulfil = r; });
    for (let i = 0; i < links; i++) f = f.then((v) => v + 1);
    fulfil(c);
    keep += await f;
  }
  return (nowNs() - t0) / (chains * links);
}

async function whenAll() {
  const joins = size(1000), n = 1000, fulfil = new Array(n), futures = new Array(n);
  const t0 = nowNs();
  for (let j = 0; j < joins; j++) {
    for (let i = 0; i < n; i++) futures[i] = new Promise((r) => { fulfil[i] = r; });
    const joint = Promise.all(futures);
    for (let i = 0; i < n; i++) fulfil[i](i);
    keep += (await joint).length;
  }
  return (nowNs() - t0) / (joins * n);
}

async function wake() {
  const n = size(20000), v = new Float64Array(n), cell = new Int32Array(new SharedArrayBuffer(4));
  await pool.submit('echo', 0);
  for (let i = 0; i < n; i++) {
    Atomics.wait(cell, 0, 0, 0.05);
    const t0 = nowNs();
    await pool.submit('echo', i);
    v[i] = (nowNs() - t0) / 1e3;
  }
  return quantiles(v);
}

async function timerCancel() {
  const n = size(1000000), timers = new Array(n), order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const noOp = () => {};
  const t0 = nowNs();
  for (let i = 0; i < n; i++) timers[i] = setTimeout(noOp, 1000 + Math.floor(Math.random() * 59000));
  for (const i of order) clearTimeout(timers[i]);
  return (nowNs() - t0) / n;
}

async function timerFire() {                     // millisecond timers, delay rounded up
  const n = size(100000), lateness = new Float64Array(n);
  let fired = 0;
  await new Promise((done) => {
    for (let i = 0; i < n; i++) {
      const delay = Math.random() * 500, due = performance.now() + delay;
      setTimeout(() => {
        lateness[i] = Math.abs(performance.now() - due) * 1e3;
        if (++fired === n) done();
      }, Math.ceil(delay));
    }
  });
  return quantiles(lateness);
}

async function loopPost() {                      // messages from a worker: a tenth of them
  const n = size(100000), flood = new Worker(new URL(import.meta.url), { workerData: { flood: n } });
  let t0, ran = 0;
  await new Promise((done) => flood.on('message', () => { t0 ??= nowNs(); if (++ran === n) done(); }));
  const ns = (nowNs() - t0) / n;
  await flood.terminate();
  return ns;
}

const residentBytes = () => Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;

async function mem() {
  const n = size(1000000), fulfil = new Array(n).fill(0), futures = new Array(n).fill(0);
  globalThis.gc?.();
  const before = residentBytes();
  for (let i = 0; i < n; i++) {
    futures[i] = new Promise((r) => { fulfil[i] = r; }).then((v) => v + 1);
  }
  globalThis.gc?.();
  const bytes = (residentBytes() - before) / n;
  fulfil[0](1);
  keep += await futures[0];
  return bytes;
}

async function batch() {
  const n = size(20000), futures = new Array(n);
  let t0, serial = Infinity;
  for (let pass = 0; pass < 3; pass++) {         // the best of 3: the JIT recompiles during some passes
    t0 = nowNs();
    for (let i = 0; i < n; i++) keep = (keep + burn(i)) | 0;
    serial = Math.min(serial, nowNs() - t0);
  }
  await Promise.all([pool.submit('burn', 0), pool.submit('burn', 0)]);
  t0 = nowNs();
  for (let i = 0; i < n; i++) futures[i] = pool.submit('burn', i);
  for (const f of futures) keep = (keep + await f) | 0;
  return serial / (nowNs() - t0);
}

function echo(port) {
  net.createServer({ noDelay: true }, (c) => {
    c.on('data', (d) => c.write(d));
    c.on('error', () => {});
  }).listen(port, '127.0.0.1', 128);
}

async function idle() {                          // what it uses meanwhile is seen from outside
  await new Promise((done) => setTimeout(done, 1200));
  return 1.2;
}

// Runs one round; returns its figures, each a name, a value and a unit.
async function answer(name, unit, round) {
  latencies = undefined;
  const value = await round(), show = (x) => Number(x.toPrecision(6));
  if (latencies === undefined) return `${name} ${show(value)} ${unit}`;
  const words = ['p50', 'p90', 'p99', 'p99.9'].map((q, i) => `${name}_${q} ${show(latencies[i])} ${unit}`);
  return words.join(' ');
}

async function main() {
  const all = {
    submit_get: ['ns/task', submitGet],
    ready_then: ['ns/op', readyThen],
    chain_inline: ['ns/link', chainInline],
    when_all: ['ns/future', whenAll],
    wake: ['us', wake],
    timer_cancel: ['ns/timer', timerCancel],
    timer_fire: ['us', timerFire],
    timer_fire_loop: ['us', timerFire],
    loop_post: ['ns/post', loopPost],
    mem: ['bytes', mem],
    batch: ['x', batch],
    idle: ['s', idle],
  };
  const [name, ...options] = process.argv.slice(2);
  if (!name) return console.log(Object.keys(all).join('\n'));
  if (name === 'echo') return echo(Number(options[0]));
  const option = (which, otherwise) => (options.includes(which) ? Number(options[options.indexOf(which) + 1]) : otherwise);
  divisor = option('--divide', 1);
  if (['submit_get', 'wake', 'batch'].includes(name)) pool = startPool();
  if (options.includes('--serve')) {
    for await (const _ of createInterface({ input: process.stdin })) console.log(await answer(name, ...all[name]));
  } else {
    for (let i = option('--rounds', 7); i > 0; i--) console.log(await answer(name, ...all[name]));
  }
  await pool?.stop();
}

if (!isMainThread) {
  if (workerData.flood) {
    for (let i = 0; i < workerData.flood; i++) parentPort.postMessage(i);
  } else {
    parentPort.on('message', ({ id, job, arg }) => parentPort.postMessage({ id, value: job === 'burn' ? burn(arg) : arg }));
  }
} else {
  await main();
}
