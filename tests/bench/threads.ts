/**
 * Training steps on wasm with one thread and with more, side by side in Chromium: time, processor time, and whether losses agree.
 *
 *     npm run bench -- threads [--threads 1,2] [--busy] [NETWORK …]    (default: all three)
 *
 * The page of it is isolated, under the product's own policy. Each order runs in a worker of its own; rounds go through all numbers
 * of threads in turn. What other programs took meanwhile is watched: an order beside which they took more than a tenth of a processor
 * is made again, since threads that wait for each other suffer most. With `--busy` a program that never rests runs beside it. Linux only.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { engineSite, ordered, type Answers, type Order } from '../browser/engineSite.ts';

type Timed = Answers['steps'];

const networks: Readonly<Record<string, Omit<Order<'steps'>, 'threads' | 'kind'>>> = {
  tiny: { architecture: 'tiny', size: 64, batch: 16, steps: 20 },
  mobilenet_v3_small: { architecture: 'mobilenet_v3_small', size: 64, batch: 16, steps: 12 },
  densenet121: { architecture: 'densenet121', size: 64, batch: 8, steps: 5 },
};
const ROUNDS = 3;
/** Of each order, while the browser still compiles. */
const UNTIMED = 2;
/** Processors that programs other than `--busy` may take, on average. */
const QUIET = 0.1;
/** Then an order counts as it is, ms. */
const PATIENCE = 300_000;

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { threads: { type: 'string', default: '1,2' }, busy: { type: 'boolean', default: false } },
});
const counts = options.threads.split(',').map(Number);
const site = await engineSite();
const profile = mkdtempSync(join(tmpdir(), 'pacerid-threads-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
const page = await context.newPage();
await page.goto(site.url);
const neighbour = options.busy ? spawn(process.execPath, ['-e', 'for (;;);']) : null;
const expected = QUIET + (options.busy ? 1 : 0);

for (const name of names.length > 0 ? names : Object.keys(networks)) {
  const network = networks[name]!;
  const runs = new Map<number, Measured[]>(counts.map((threads) => [threads, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const threads of counts)
      runs.get(threads)!.push(await inQuiet(() => ordered(page, { kind: 'steps', ...network, threads })));
  }
  console.log(
    `\n${name}, ${network.size} px, batch ${network.batch}, ${ROUNDS} × ${network.steps - UNTIMED} steps${options.busy ? ', beside a busy program' : ''}`,
  );
  const reference = runs.get(counts[0]!)![0]!.timed;
  const base = middle(runs.get(counts[0]!)!);
  for (const [threads, all] of runs) {
    const { label, notice, opened } = all[0]!.timed;
    const steps = ROUNDS * network.steps;
    const sum = (of: (one: Measured) => number): number => all.reduce((total, one) => total + of(one), 0);
    const apart = Math.max(
      ...all.flatMap(({ timed }) => timed.losses.map((x, i) => Math.abs(x - reference.losses[i]!))),
    );
    console.log(
      `  ${threads}: ${label}${notice ? ` (${notice})` : ''}: median ${middle(all).toFixed(1)} ms a step ` +
        `(${(base / middle(all)).toFixed(2)} ×); ${((1000 * sum(({ processor }) => processor)) / steps).toFixed(0)} ms of ` +
        `processor time a step; opened in ${opened.toFixed(0)} ms; losses apart by ${apart.toExponential(1)}; ` +
        `others took ${(sum(({ foreign }) => foreign) / all.length).toFixed(2)} processors`,
    );
  }
}
neighbour?.kill();
await context.close();
await site.close();
rmSync(profile, { recursive: true, force: true });

interface Measured {
  readonly timed: Timed;
  /** Seconds of processor time that Chromium took. */
  readonly processor: number;
  /** Processors that other programs took meanwhile. */
  readonly foreign: number;
}

function middle(all: readonly Measured[]): number {
  const times = all.flatMap(({ timed }) => timed.milliseconds.slice(UNTIMED)).sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)]!;
}

async function inQuiet(work: () => Promise<Timed>): Promise<Measured> {
  const begun = performance.now();
  for (;;) {
    const before = { ours: processorSeconds(), all: busySeconds(), at: performance.now() };
    const timed = await work();
    const processor = processorSeconds() - before.ours;
    const seconds = (performance.now() - before.at) / 1000;
    const foreign = Math.max(0, (busySeconds() - before.all - processor) / seconds);
    if (foreign < expected || performance.now() - begun > PATIENCE) return { timed, processor, foreign };
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** All that this computer's processors did. */
function busySeconds(): number {
  const [user, nice, system, , , irq, softirq] = /^cpu +(.*)$/m
    .exec(readFileSync('/proc/stat', 'utf8'))![1]!
    .split(' ')
    .map(Number);
  return (user! + nice! + system! + irq! + softirq!) / 100;
}

/** Of the Chromium that has our profile, and of its descendants. */
function processorSeconds(): number {
  const processes = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        // After the name, which may hold anything: state, parent, …, ticks in user and in system mode.
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop()!.split(' ');
        return [{ pid, parent: fields[1], ticks: Number(fields[11]) + Number(fields[12]), command }];
      } catch {
        // It has ended meanwhile.
        return [];
      }
    });
  const ours = new Set(processes.filter(({ command }) => command.includes(profile)).map(({ pid }) => pid));
  for (let size = -1; size !== ours.size;) {
    size = ours.size;
    for (const { pid, parent } of processes) if (parent !== undefined && ours.has(parent)) ours.add(pid);
  }
  return processes.filter(({ pid }) => ours.has(pid)).reduce((sum, { ticks }) => sum + ticks, 0) / 100;
}
