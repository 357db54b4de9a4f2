/**
 * The center that a person tries: fetched when the first image comes, and again, at most every few seconds, where the run has moved
 * on. Published centers are files of the coordinator (SPEC D1).
 */

import * as v from "valibot";
import type { ParameterLayout } from "../../../shared/model/layout.ts";
import { encodedBytes } from "../../../shared/wire/codec/codec.ts";
import { decode } from "../../../shared/wire/codec/naive.ts";
import { TrialError } from "./trial_error.ts";

export interface TriedCenter {
  readonly version: number;
  readonly parameters: Float32Array<ArrayBuffer>;
}

const address = v.pipe(v.string(), v.regex(/^center\/\d{1,16}-\d{1,16}\.(int8|f16)$/));
/** Of what `/center/latest` says, what is needed here. */
const schema = v.object({
  version: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  encodings: v.object({ int8: address, f16: address }),
});

const FETCH_TIMEOUT_MS = 30_000;

export interface CenterSource {
  readonly baseUrl: string;
  readonly codec: "int8" | "f16";
  readonly layout: ParameterLayout;
}

/** Rejects with a `TrialError`. Nothing is kept in the browser's cache, where every version would pile up. */
export async function fetchNewestCenter(
  { baseUrl, codec, layout }: CenterSource,
  onFetched: (bytes: number) => void,
): Promise<TriedCenter> {
  const { version, encodings } = read(await (await get(new URL("center/latest", baseUrl))).text());
  const bytes = new Uint8Array(await (await get(new URL(encodings[codec], baseUrl))).arrayBuffer());
  onFetched(bytes.length);
  if (bytes.length !== encodedBytes(codec, layout.elements)) throw new TrialError(OTHER_MODEL);
  const parameters = decode(codec, bytes, layout.elements);
  if (!parameters.every(Number.isFinite)) throw new TrialError(OTHER_MODEL);
  liftVariances(parameters, layout);
  return { version, parameters };
}

const OTHER_MODEL =
  "What came is not the center of the model that this page knows. Reload the page to get the current one.";

async function get(url: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  } catch {
    throw new TrialError(
      "The coordinator does not answer, so the model did not come. Check your connection, or ask whether the run is still on, and try again.",
    );
  }
  if (response.status === 404) {
    throw new TrialError("The coordinator gives out no center any more: this run is over. Its operator has the model.");
  }
  if (!response.ok) {
    throw new TrialError(`The coordinator could not give out the model (HTTP ${response.status}). Try again soon.`);
  }
  return response;
}

function read(text: string): v.InferOutput<typeof schema> {
  try {
    return v.parse(schema, JSON.parse(text));
  } catch {
    throw new TrialError(OTHER_MODEL);
  }
}

/** SPEC E9: a variance that pulls have brought below zero counts as zero. In place. */
function liftVariances(parameters: Float32Array, { tensors }: ParameterLayout): void {
  for (const { name, offset, elements } of tensors) {
    if (!name.endsWith(".variance")) continue;
    for (let at = offset; at < offset + elements; at++) parameters[at] = Math.max(0, parameters[at]!);
  }
}
