/**
 * A replica against a coordinator in plain code, in random order: pushes arrive, are lost, are answered twice; connections are cut;
 * the coordinator is restarted, refuses, has the replica go back; devices are lost; with every codec and fragments. After each
 * answer both hold the same base, bit for bit. A failure prints its seed.
 */

import { expect, test } from "vitest";
import { Random } from "../../shared/random.ts";
import { CODEC_NAMES } from "../../shared/wire/codec/codec.ts";
import type { RefusalCode } from "../../shared/wire/codes.ts";
import { PlainCenter, type PlainAnswer } from "../support/plain_center.ts";
import type { QuadraticProgram } from "../support/quadratic_program.ts";
import { BLOCKS_MODEL, filled, ReplicaStage, spareProgram, type Got } from "../support/replica_stage.ts";

const OPERATIONS = 60;
const REFUSALS: readonly RefusalCode[] = ["UNKNOWN_BASE", "TOO_STALE", "RESTARTED", "OUT_OF_BOUNDS"];

class Scenario {
  readonly #random: Random;
  readonly #stage: ReplicaStage;
  readonly #center: PlainCenter;
  #program: QuadraticProgram;
  #incarnation = 1;
  /** The highest number that was settled. */
  #settled = 0;
  /** Its answer, which a retry gets again. */
  #answer: PlainAnswer | undefined;
  /** Every push that was seen, by incarnation and number. */
  readonly #pushes = new Map<string, Got<"push">>();

  constructor(seed: number) {
    this.#random = new Random(seed);
    const fragments = 1 + this.#random.below(4);
    const codecs = { up: this.#anyCodec(), down: this.#anyCodec() };
    this.#stage = new ReplicaStage({ fragments, learningRate: 0.1 }, { codecs, model: BLOCKS_MODEL });
    this.#center = new PlainCenter(this.#stage.vectors, filled(0, this.#stage.vectors));
    this.#program = this.#stage.program;
    this.#program.target.forEach((_, index, target) => (target[index] = this.#random.normal()));
  }

  #anyCodec(): (typeof CODEC_NAMES)[number] {
    return CODEC_NAMES[this.#random.below(CODEC_NAMES.length)]!;
  }

  /** Returns how many exchanges were settled. */
  async run(): Promise<number> {
    await this.#stage.join(filled(0, this.#stage.vectors));
    for (let operation = 0; operation < OPERATIONS; operation++) {
      await this.#operate();
      expect(this.#stage.ending).toBeUndefined();
    }
    return this.#settled;
  }

  async #operate(): Promise<void> {
    const push = this.#seen(await this.#stage.nextPush());
    const choice = this.#random.below(100);
    if (choice < 45) return this.#settle(push, 1 + this.#random.below(2));
    if (choice < 60) return this.#cutBefore();
    if (choice < 72) return this.#cutAfter(push);
    if (choice < 84) return this.#refuse(push);
    if (choice < 92) return this.#restart();
    return this.#loseDevice(push);
  }

  /** A retry is the same push again, and what is against a base is against the one that the replica was given. */
  #seen(push: Got<"push">): Got<"push"> {
    const key = `${push.header.incarnation}/${push.header.exchange}`;
    const before = this.#pushes.get(key);
    if (before) expect({ ...push, payload: [...push.payload] }).toEqual({ ...before, payload: [...before.payload] });
    else expect(push.header.exchange).toBe(this.#settled + 1);
    expect(push.header.incarnation).toBe(this.#incarnation);
    if (push.header.exchange > this.#settled) {
      expect(push.header.baseVersion).toBe(this.#center.baseVersions[push.header.fragment ?? 0]);
    }
    this.#pushes.set(key, { ...push, payload: push.payload.slice() });
    return push;
  }

  /** Moves the center, once. */
  #apply(push: Got<"push">): PlainAnswer {
    if (push.header.exchange > this.#settled) {
      this.#settled = push.header.exchange;
      if (this.#random.below(3) === 0) this.#center.wander(() => this.#random.normal() / 16);
      this.#answer = this.#center.push(push);
    }
    if (!this.#answer) throw new Error("a push came that was refused before");
    return this.#answer;
  }

  async #settle(push: Got<"push">, times: number): Promise<void> {
    const { payload, version, deltas } = this.#apply(push);
    const { exchange, fragment } = push.header;
    const optional = {
      ...(fragment === undefined ? {} : { fragment }),
      ...(deltas === undefined ? {} : { deltas }),
    };
    this.#stage.send("answer", { ...this.#stage.answerHeader(exchange), version, ...optional }, payload);
    this.#stage.pair.deliverToNear(times);
    await this.#stage.turn();
    this.#expectSameBase();
  }

  #expectSameBase(): void {
    expect(this.#program.base).toEqual(this.#center.base);
  }

  async #comeBack(isResumed: boolean): Promise<void> {
    await this.#stage.reconnected();
    const header = { incarnation: this.#incarnation, lastExchange: this.#settled };
    if (isResumed) {
      await this.#stage.welcome(undefined, { ...header, resumed: true });
      await this.#stage.turn();
      return;
    }
    const { version, payload } = this.#center.give();
    await this.#stage.welcome(payload, { ...header, version });
    await this.#stage.turn();
    this.#expectSameBase();
  }

  /** The push was never seen: the retry is a first one. */
  async #cutBefore(): Promise<void> {
    this.#stage.pair.cut();
    await this.#comeBack(true);
  }

  async #cutAfter(push: Got<"push">): Promise<void> {
    this.#apply(push);
    this.#stage.pair.cut();
    await this.#comeBack(true);
  }

  async #refuse(push: Got<"push">): Promise<void> {
    const { exchange } = push.header;
    // Of an answer that was lost: what was settled cannot be refused any more.
    if (exchange <= this.#settled) return this.#settle(push, 1);
    this.#settled = exchange;
    this.#answer = undefined;
    const { version, payload } = this.#center.give();
    const code = REFUSALS[this.#random.below(REFUSALS.length)]!;
    await this.#stage.refuse(code, payload, { exchange, version, incarnation: this.#incarnation });
    await this.#stage.turn();
    this.#expectSameBase();
  }

  /** From whatever the center is: the push in flight is dropped. */
  async #restart(): Promise<void> {
    this.#stage.pair.cut();
    this.#incarnation++;
    this.#answer = undefined;
    await this.#comeBack(false);
  }

  async #loseDevice(push: Got<"push">): Promise<void> {
    // It may have arrived; if not, another one gets its number.
    if (this.#random.below(2) === 0) this.#apply(push);
    else this.#pushes.delete(`${this.#incarnation}/${push.header.exchange}`);
    const spare = spareProgram(1, BLOCKS_MODEL);
    spare.target.set(this.#program.target);
    this.#stage.spares.push(spare);
    this.#program.isBroken = true;
    this.#program = spare;
    this.#stage.loseDevice("gone");
    await this.#stage.turn();
    this.#answer = undefined;
    await this.#comeBack(false);
  }
}

const SEEDS = Array.from({ length: 40 }, (_, index) => 500 + index);

test.each(SEEDS)(
  "[X12] [X17] [X18] [C3] [H6] seed %i: cuts, retries, refusals, restarts and lost devices",
  async (seed) => {
    expect(await new Scenario(seed).run()).toBeGreaterThan(OPERATIONS / 3);
  },
);
