/**
 * The Web Worker's entry behind "Try the model": images in, answers of the newest center out. It fetches and computes when an
 * image comes, and never by itself.
 */

import { trialCodec } from "../download.ts";
import type { FromTrialWorker, ToTrialWorker } from "../messages.ts";
import { compileForward, type Forward } from "./forward.ts";
import { fetchNewestCenter, type TriedCenter } from "./newest_center.ts";
import { TrialError } from "./trial_error.ts";

/** While a person draws, the center moves on many times a second. */
const REFETCH_MS = 5000;

type Look = Extract<ToTrialWorker, { kind: "look" }>;

let opened: Extract<ToTrialWorker, { kind: "open" }> | undefined;
let forward: Promise<Forward> | undefined;
let center: TriedCenter | undefined;
let fetchedAtMs = Number.NEGATIVE_INFINITY;
let fetching: Promise<void> | undefined;
let newest: Look | undefined;

function post(message: FromTrialWorker): void {
  self.postMessage(message);
}

async function take(look: Look): Promise<void> {
  newest = look;
  try {
    const compiled = await compile();
    if (!center) await refetch(compiled);
    if (newest === look) answer(compiled, look);
    if (isOld(look)) {
      // What it says meanwhile is not far off.
      await refetch(compiled).catch(() => {});
      if (newest === look) answer(compiled, look);
    }
  } catch (error) {
    if (newest === look) post({ kind: "trouble", look: look.look, sentence: sentenceOf(error) });
  }
}

function compile(): Promise<Forward> {
  if (!opened) throw new Error("invariant violation: a look came before the model");
  forward ??= compileForward(opened).catch((error: unknown) => {
    forward = undefined;
    throw error;
  });
  return forward;
}

function isOld({ newestVersion }: Look): boolean {
  if (newestVersion === undefined || newestVersion === center?.version) return false;
  return performance.now() - fetchedAtMs >= REFETCH_MS;
}

/** Whoever comes meanwhile waits for the same one. */
function refetch({ layout }: Forward): Promise<void> {
  fetching ??= fetchOnce(layout).finally(() => {
    fetching = undefined;
  });
  return fetching;
}

async function fetchOnce(layout: Forward["layout"]): Promise<void> {
  if (!opened) return;
  fetchedAtMs = performance.now();
  const { baseUrl, model } = opened;
  const source = { baseUrl, codec: trialCodec(model), layout };
  center = await fetchNewestCenter(source, (bytes) => post({ kind: "fetched", bytes }));
}

function answer(compiled: Forward, { look, pixels }: Look): void {
  if (!center) return;
  const begunMs = performance.now();
  const probabilities = compiled.probabilities(center.parameters, pixels);
  post({ kind: "answer", look, version: center.version, probabilities, computedMs: performance.now() - begunMs });
}

function sentenceOf(error: unknown): string {
  if (error instanceof TrialError) return error.message;
  const why = error instanceof Error ? error.message : String(error);
  return `The model cannot be computed in this page (${why}). Reload the page, or try another browser.`;
}

self.addEventListener("message", ({ data }: MessageEvent<ToTrialWorker>) => {
  if (data.kind === "open") opened = data;
  else void take(data);
});
