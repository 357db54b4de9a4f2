/**
 * How far a command is that counts something, on stderr: a bar on a terminal, elsewhere a plain line every few seconds.
 * Progress of runs is `progress.ts`' matter.
 */

import { Presets, SingleBar } from "cli-progress";
import { thousands } from "./output.ts";

/** Between two plain lines. */
const LINE_INTERVAL_MS = 5000;

export interface CountProgress {
  /** `text` follows the count. */
  update(done: number, total: number, text?: string): void;
  stop(): void;
}

/** `what` is counted: "pictures". */
export function startCount(what: string): CountProgress {
  return process.stderr.isTTY ? new CountBar(what) : new CountLines(what);
}

/** A bar as all commands have it. */
export function progressBar(): SingleBar {
  return new SingleBar(
    {
      format: "{bar} {text}",
      stream: process.stderr,
      barsize: 20,
      hideCursor: true,
      fps: 4,
      clearOnComplete: false,
      linewrap: false,
    },
    Presets.shades_classic,
  );
}

class CountBar implements CountProgress {
  readonly #what: string;
  readonly #bar = progressBar();
  #isStarted = false;

  constructor(what: string) {
    this.#what = what;
  }

  update(done: number, total: number, text = ""): void {
    const words = { text: countInWords(this.#what, done, total, text) };
    if (this.#isStarted) this.#bar.update(done, words);
    else this.#bar.start(total, done, words);
    this.#isStarted = true;
  }

  stop(): void {
    if (this.#isStarted) this.#bar.stop();
  }
}

class CountLines implements CountProgress {
  readonly #what: string;
  #lastMs = performance.now();

  constructor(what: string) {
    this.#what = what;
  }

  update(done: number, total: number, text = ""): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < LINE_INTERVAL_MS) return;
    this.#lastMs = nowMs;
    process.stderr.write(`${countInWords(this.#what, done, total, text)}\n`);
  }

  stop(): void {}
}

function countInWords(what: string, done: number, total: number, text: string): string {
  const share = total === 0 ? 100 : Math.floor((100 * done) / total);
  return `${thousands(done)} of ${thousands(total)} ${what}, ${share} %${text === "" ? "" : ` | ${text}`}`;
}
