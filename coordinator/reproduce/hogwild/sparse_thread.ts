/**
 * One thread of the sparse race: logistic regression by one example at a time (Niu et al. 2011, algorithm 1), on weights that all
 * threads share. Only how the update reaches them differs.
 */

import { parentPort, workerData } from "node:worker_threads";
import { Random } from "../../../shared/random.ts";
import { Control } from "../../center/control.ts";
import { waitAtGate, wallMs, type Finish, type Lane } from "./racing_threads.ts";
import { CLASSES, scoresOf } from "./sparse_examples.ts";
import { TURN_BYTE, type SparseInput } from "./sparse_work.ts";

const port = parentPort;
if (!port) throw new Error("invariant violation: the racing thread was started as a program");
const { input, index, threads, gate } = workerData as Lane<SparseInput>;
const { examples, weights, meeting, learningRate, updates, seed } = input;
const control = new Control(input.words);
const turn = new Int32Array(input.words, TURN_BYTE, 1);
const bits = new Int32Array(weights.buffer);
const random = new Random(seed);
const scores = new Float64Array(CLASSES);
/** To see the bits of a number. */
const word = new Float32Array(1);
const wordBits = new Int32Array(word.buffer);

function addPlain(at: number, change: number): void {
  weights[at]! += change;
}

function addSwapped(at: number, change: number): void {
  for (;;) {
    const before = Atomics.load(bits, at);
    wordBits[0] = before;
    word[0] = word[0]! + change;
    if (Atomics.compareExchange(bits, at, before, wordBits[0]) === before) return;
  }
}

const add = meeting === "compare-and-swap" ? addSwapped : addPlain;

/** scores become -rate * (probability - [class is the label]). */
function changesOf(example: number): void {
  scoresOf(examples, example, weights, scores);
  const highest = Math.max(...scores);
  let sum = 0;
  for (let label = 0; label < CLASSES; label++) sum += scores[label] = Math.exp(scores[label]! - highest);
  const truth = examples.labels[example];
  for (let label = 0; label < CLASSES; label++) {
    scores[label] = -learningRate * (scores[label]! / sum - (label === truth ? 1 : 0));
  }
}

function applyChanges(example: number): void {
  const { offsets, features } = examples;
  for (let at = offsets[example]!; at < offsets[example + 1]!; at++) {
    const row = features[at]! * CLASSES;
    for (let label = 0; label < CLASSES; label++) add(row + label, scores[label]!);
  }
}

function inTurn(work: () => void): void {
  for (let now = Atomics.load(turn, 0); now !== index; now = Atomics.load(turn, 0)) Atomics.wait(turn, 0, now);
  work();
  Atomics.store(turn, 0, (index + 1) % threads);
  Atomics.notify(turn, 0);
}

function underLock(work: () => void): void {
  control.lock();
  work();
  control.unlock();
}

port.postMessage("ready");
waitAtGate(gate);
for (let update = 0; update < updates; update++) {
  const example = random.below(examples.count);
  changesOf(example);
  if (meeting === "round-robin") inTurn(() => applyChanges(example));
  else if (meeting === "locked") underLock(() => applyChanges(example));
  else applyChanges(example);
}
const finish: Finish<null> = { output: null, endMs: wallMs() };
port.postMessage(finish);
