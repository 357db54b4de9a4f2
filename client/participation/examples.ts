/**
 * The training examples: fetches shards, checks them, and puts them into a program. Each replica begins with another shard, so that
 * training starts after one of them; further ones are fetched when the coordinator leases examples of them, because a volunteer's
 * line and data cap are its own.
 */

import type { Program } from "../../shared/engine/backend.ts";
import { elementsOf } from "../../shared/model/model.ts";
import type { Random } from "../../shared/random.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { ExampleRange } from "../../shared/sampler.ts";
import type { Clock } from "../replica/clock.ts";
import { retryDelayMs } from "../replica/connection.ts";
import type { Fetch, StopSignal } from "./surroundings.ts";

export interface Shard extends ExampleRange {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

export interface ExamplesOptions {
  readonly settings: RunSettings;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** Differs from replica to replica. */
  readonly random: Random;
  /** Ends all that is under way. */
  readonly signal: StopSignal;
  /** A shard that did not come; the replica trains on with those that it has. */
  readonly onProblem: (error: unknown) => void;
  readonly onLoaded: (loadedExamples: number, examples: number) => void;
}

interface Address {
  readonly url: string;
  readonly range: ExampleRange;
}

/** What is in one program. */
interface LoadedExamples {
  /** Shard by shard; grows. */
  readonly loaded: readonly ExampleRange[];
  /** Has the shards of these put into it too, one after the other, in this order. Never throws. */
  readonly load: (wanted: readonly ExampleRange[]) => void;
}

interface Loading {
  readonly program: Program;
  /** Whether the program still trains. */
  readonly isWanted: () => boolean;
  readonly loaded: ExampleRange[];
  /** The first of them is under way. */
  readonly queue: Address[];
  isUnderWay: boolean;
}

/** About 20 s in all for the first shard, without which nothing can begin. */
const FIRST_TRIES = 9;
/** For each of the others: training goes on meanwhile. */
const LATER_TRIES = 40;

/** An answer that asking again will not change. */
class FinalError extends Error {}

export class Examples {
  readonly #options: ExamplesOptions;
  /** In this replica's own order. */
  readonly #addresses: readonly Address[];
  #first: Shard | undefined;

  constructor(options: ExamplesOptions) {
    this.#options = options;
    this.#addresses = shuffled(addressesOf(options.settings), options.random);
  }

  /** The shard that training begins with. Rejects with a sentence and its fix. */
  async first(): Promise<Shard> {
    const [address] = this.#addresses;
    if (!address) throw new Error("This run has no training data. Ask its operator to start it with a data set.");
    this.#first ??= await this.#fetch(address, FIRST_TRIES);
    return this.#first;
  }

  /** Puts the first shard into `program`, and, as long as that is wanted, others when they are asked for. */
  into(program: Program, first: Shard, isWanted: () => boolean): LoadedExamples {
    const loading: Loading = { program, isWanted, loaded: [], queue: [], isUnderWay: false };
    this.#put(loading, first);
    return { loaded: loading.loaded, load: (wanted) => this.#load(loading, wanted) };
  }

  #load(loading: Loading, wanted: readonly ExampleRange[]): void {
    const { loaded, queue } = loading;
    for (const range of wanted) {
      const address = this.#addresses.find((one) => contains(one.range, range));
      if (!address || queue.includes(address) || loaded.some((one) => contains(one, range))) continue;
      queue.push(address);
    }
    if (!loading.isUnderWay && queue.length > 0) void this.#loadAll(loading);
  }

  /** Never rejects. What did not come may be asked for again. */
  async #loadAll(loading: Loading): Promise<void> {
    const { queue, isWanted } = loading;
    loading.isUnderWay = true;
    for (let address = queue[0]; address && isWanted(); address = queue[0]) {
      try {
        const shard = await this.#fetch(address, LATER_TRIES);
        if (isWanted()) this.#put(loading, shard);
      } catch (error) {
        if (this.#options.signal.aborted || !isWanted()) return;
        this.#options.onProblem(error);
      }
      // Until here it was under way, and not asked for twice.
      queue.shift();
    }
    loading.isUnderWay = false;
  }

  #put({ program, loaded }: Loading, shard: Shard): void {
    program.loadExamples(shard.first, shard.images, shard.labels);
    loaded.push({ first: shard.first, count: shard.count });
    const loadedExamples = loaded.reduce((sum, { count }) => sum + count, 0);
    this.#options.onLoaded(loadedExamples, examplesOf(this.#options.settings));
  }

  async #fetch(address: Address, tries: number): Promise<Shard> {
    const { clock, random, signal } = this.#options;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#tryFetch(address);
      } catch (error) {
        signal.throwIfAborted();
        if (attempt + 1 === tries || error instanceof FinalError) throw unavailable(address, error);
      }
      await clock.sleep(retryDelayMs(attempt, random));
      signal.throwIfAborted();
    }
  }

  async #tryFetch({ url, range }: Address): Promise<Shard> {
    const { fetch, settings } = this.#options;
    const response = await fetch(url);
    if (response.status >= 400 && response.status < 500) throw new FinalError(`HTTP ${response.status}`);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return shardOf(new Uint8Array(await response.arrayBuffer()), range, settings);
  }
}

/** How many examples all shards hold together. */
export function examplesOf(settings: RunSettings): number {
  return settings.data.shards.reduce((sum, { examples }) => sum + examples, 0);
}

/** `examples` images (NHWC bytes), then as many label bytes. */
function shardOf(bytes: Uint8Array, range: ExampleRange, { model }: RunSettings): Shard {
  const imageBytes = range.count * elementsOf(model.input);
  if (bytes.length !== imageBytes + range.count) {
    throw new Error(`${bytes.length} bytes came, but ${range.count} examples have ${imageBytes + range.count}`);
  }
  const labels = bytes.subarray(imageBytes);
  const wrong = labels.find((label) => label >= model.classes);
  if (wrong !== undefined) throw new FinalError(`it holds the label ${wrong}, but there are ${model.classes} classes`);
  return { ...range, images: bytes.subarray(0, imageBytes), labels };
}

/** Every shard has its place in the data set, whatever the order in which they come. */
function addressesOf(settings: RunSettings): Address[] {
  let first = 0;
  return settings.data.shards.map(({ url, examples }) => {
    const range = { first, count: examples };
    first += examples;
    return { url, range };
  });
}

function contains(whole: ExampleRange, part: ExampleRange): boolean {
  return whole.first <= part.first && part.first + part.count <= whole.first + whole.count;
}

function shuffled(addresses: readonly Address[], random: Random): readonly Address[] {
  const order = Uint32Array.from(addresses.keys());
  random.shuffle(order);
  return [...order].map((index) => addresses[index]!);
}

function unavailable({ url }: Address, error: unknown): Error {
  const why = error instanceof Error ? error.message : String(error);
  return new Error(
    `The training data did not come (${url}: ${why}). Check that the coordinator is running and reachable, then start again.`,
    { cause: error },
  );
}
