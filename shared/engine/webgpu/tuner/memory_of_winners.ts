/**
 * What a device's tuner remembers: for each product the winner and what was tried, under a key that names the adapter, the
 * text of all shaders and the work. Another driver's name or a changed shader simply finds nothing.
 */

import type { ShaderSources } from "../../backend.ts";
import type { FailedCandidate, Winners } from "../../tuning.ts";
import type { DeviceTraits } from "../choice/candidate.ts";

/** What is remembered of one product. Candidates go by name: one that no longer exists is no candidate. */
export interface Remembered {
  readonly winner: string;
  /** Of the winner and of the rule's choice, for the whole batch. */
  readonly ms: number;
  readonly ruleMs: number;
  readonly measuredImages: number;
  readonly tried: readonly string[];
  readonly failed: readonly FailedCandidate[];
  /** Nothing is left to be tried. */
  readonly isComplete: boolean;
}

/** Of the format and of how times are taken: raised when old entries would mislead. */
const VERSION = 1;

type AdapterName = Pick<GPUAdapterInfo, "vendor" | "architecture" | "device" | "description">;

/** What all keys of one device and one set of shaders begin with. */
export function deviceKey(adapter: AdapterName, traits: DeviceTraits, shaders: ShaderSources): string {
  const { vendor, architecture, device, description } = adapter;
  const flags = [traits.isFallback && "software", traits.hasSubgroups && "subgroups", traits.hasF16 && "f16"];
  const words = [vendor, architecture, device, description, flags.filter(Boolean).join("+"), hashOfShaders(shaders)];
  return words.map((word) => word.replaceAll("|", "/")).join("|");
}

function hashOfShaders(shaders: ShaderSources): string {
  const sorted = [...shaders].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return hashOf(sorted.map(([name, text]) => `${name}\n${text}`).join("\n"));
}

/** Two lanes of FNV-1a, 32 bits each: 64 bits at a hundredth of the time that BigInts take. No defence, only a name. */
function hashOf(text: string): string {
  let first = 0x811c9dc5;
  let second = 0x1000193;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ (code + at), 0x01000193);
  }
  return [first, second].map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
}

export class MemoryOfWinners {
  readonly #winners: Winners | undefined;
  readonly #prefix: string;

  constructor(winners: Winners | undefined, prefix: string) {
    this.#winners = winners;
    this.#prefix = prefix;
  }

  /** Undefined where nothing is known, or what is there cannot be read. */
  async recall(product: string): Promise<Remembered | undefined> {
    const text = await this.#winners?.get(this.#key(product));
    return text === undefined ? undefined : decode(text);
  }

  async remember(product: string, remembered: Remembered): Promise<void> {
    await this.#winners?.set(this.#key(product), JSON.stringify({ version: VERSION, ...remembered }));
  }

  #key(product: string): string {
    return `${this.#prefix}|${product}`;
  }
}

/** Whatever is not exactly what we write is ignored: a browser's storage can hold anything. */
function decode(text: string): Remembered | undefined {
  const value = parsed(text);
  if (!isRecord(value) || value["version"] !== VERSION) return undefined;
  const { winner, ms, ruleMs, measuredImages, tried, failed, isComplete } = value;
  if (typeof winner !== "string" || !isTime(ms) || !isTime(ruleMs) || !isTime(measuredImages)) return undefined;
  if (!isStrings(tried) || !isFailures(failed) || typeof isComplete !== "boolean") return undefined;
  return { winner, ms, ruleMs, measuredImages, tried, failed, isComplete };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isFailures(value: unknown): value is FailedCandidate[] {
  return (
    Array.isArray(value) &&
    value.every((one) => isRecord(one) && typeof one["candidate"] === "string" && typeof one["reason"] === "string")
  );
}
