/**
 * The newest published center by HTTP (SPEC D1), fetched before a replica joins: any cache may have served it, so it counts only with
 * the SHA-256 that the coordinator names. Whatever is wrong or takes long is no problem: the welcome then brings a center.
 */

import * as v from "valibot";
import type { HeldCenter } from "../replica/held_center.ts";
import type { Surroundings } from "./surroundings.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** Of what `/center/latest` says, what a replica needs. */
const schema = v.object({
  incarnation: count,
  version: count,
  /** Relative, and nowhere else. */
  address: v.pipe(v.string(), v.regex(/^center\/\d{1,16}-\d{1,16}\.f32$/)),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});

/** Longer than this nobody waits for it. */
const PATIENCE_MS = 2000;
const MOST_JSON_BYTES = 4096;

type Means = Pick<Surroundings, "fetch" | "sha256" | "clock">;

/** Never rejects. */
export async function fetchCenter(means: Means, elements: number): Promise<HeldCenter | undefined> {
  const fetched = tryFetch(means, elements).catch(() => undefined);
  return Promise.race([fetched, means.clock.sleep(PATIENCE_MS).then(() => undefined)]);
}

async function tryFetch({ fetch, sha256 }: Means, elements: number): Promise<HeldCenter | undefined> {
  if (!sha256) return undefined;
  const latest = await fetch("center/latest");
  if (!latest.ok) return undefined;
  const named = v.parse(schema, parsed(await latest.arrayBuffer()));
  const file = await fetch(named.address);
  if (!file.ok) return undefined;
  const bytes = await file.arrayBuffer();
  if (bytes.byteLength !== 4 * elements || hexOf(await sha256(bytes)) !== named.sha256) return undefined;
  return { incarnation: named.incarnation, version: named.version, values: new Float32Array(bytes) };
}

/** ASCII; the decoders of browsers and Node are not visible here. */
function parsed(json: ArrayBuffer): unknown {
  if (json.byteLength > MOST_JSON_BYTES) return undefined;
  return JSON.parse(String.fromCharCode(...new Uint8Array(json))) as unknown;
}

function hexOf(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
