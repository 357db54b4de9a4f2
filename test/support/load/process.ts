/** Many bots in one process: joins them a few at a time, lets some exchange for a while, and reports. `main.ts` is the other side. */

import { layoutOf } from "../../../shared/model/layout.ts";
import { Random } from "../../../shared/random.ts";
import type { RunSettings } from "../../../shared/run_settings.ts";
import { encodedBytes } from "../../../shared/wire/codec/codec.ts";
import { encode } from "../../../shared/wire/codec/naive.ts";
import type { VectorWire } from "../../../shared/wire/vectors.ts";
import { Bot } from "./bot.ts";
import type { BotsResult, BotsTask, FromBots, ToBots } from "./messages.ts";

/** Joining at once: a welcome carries a center, and others train meanwhile. */
const JOINING = 8;
/** An answer that takes longer is lost. */
const PATIENCE_MS = 15_000;
const LARGEST_VALUE = 1e-4;
const MOST_PROBLEMS = 20;

const task = JSON.parse(process.argv[2] ?? "null") as BotsTask;
const settings = (await (await fetch(`${task.url}/api/run`)).json()) as RunSettings;
const { elements } = layoutOf(settings.model);
const timesMs: number[] = [];
const problems: string[] = [];
const refusals: Record<string, number> = {};
const counts = { pushed: 0, settled: 0, late: 0 };
let payload: Uint8Array<ArrayBuffer> | undefined;

const bots = await joinAll();
const { up, down } = bots[0]!.codecs;
tell({ kind: "joined", codecUp: up, codecDown: down });
process.on("message", (message: ToBots) => {
  if (message.kind === "exchange") void exchangeFor(1000 * message.seconds).then(tell);
  else leave();
});
process.on("disconnect", leave);

function leave(): void {
  for (const bot of bots) bot.leave();
  process.exit(0);
}

async function joinAll(): Promise<Bot[]> {
  const joined: Bot[] = [];
  const joinSome = async (): Promise<void> => {
    while (joined.length < task.bots) {
      const bot = newBot();
      joined.push(bot);
      await bot.welcomed();
    }
  };
  await Promise.all(Array.from({ length: JOINING }, joinSome));
  return joined;
}

function newBot(): Bot {
  return new Bot({
    socketUrl: `${task.url.replace("http", "ws")}/ws`,
    layoutHash: settings.layoutHash,
    elements,
    payloadFor,
    onAnswer: (elapsedMs) => {
      counts.settled++;
      timesMs.push(elapsedMs);
    },
    onRefusal: (code) => {
      counts.settled++;
      refusals[code] = (refusals[code] ?? 0) + 1;
    },
    onProblem: (sentence) => {
      if (problems.length < MOST_PROBLEMS) problems.push(sentence);
    },
  });
}

/** The same for all: what it says does not matter, how long it is does. */
function payloadFor({ codecs }: VectorWire): Uint8Array<ArrayBuffer> {
  const random = new Random(1);
  payload ??= encode(
    codecs.up,
    Float32Array.from({ length: elements }, () => (2 * random.uniform() - 1) * LARGEST_VALUE),
  );
  if (payload.byteLength !== encodedBytes(codecs.up, elements))
    throw new Error("bots of one run have different codecs");
  return payload;
}

/** Each at its own moment of the period, for as many periods as fit. */
async function exchangeFor(durationMs: number): Promise<BotsResult> {
  const exchanging = bots.slice(0, task.exchanging);
  const timers = exchanging.map((bot, index) => {
    const push = (): void => {
      if (bot.isExchanging) return void counts.late++;
      counts.pushed++;
      bot.push();
    };
    let interval: NodeJS.Timeout | undefined;
    const first = setTimeout(
      () => {
        push();
        interval = setInterval(push, task.periodMs);
      },
      (task.periodMs * index) / exchanging.length,
    );
    return () => {
      clearTimeout(first);
      clearInterval(interval);
    };
  });
  await sleep(durationMs);
  for (const stop of timers) stop();
  const untilMs = performance.now() + PATIENCE_MS;
  while (counts.settled < counts.pushed && performance.now() < untilMs) await sleep(50);
  const total = (of: (bot: Bot) => number): number => bots.reduce((sum, bot) => sum + of(bot), 0);
  return {
    kind: "result",
    timesMs,
    pushed: counts.pushed,
    lost: counts.pushed - counts.settled,
    late: counts.late,
    refusals,
    problems,
    bytesUp: total(({ bytesUp }) => bytesUp),
    bytesDown: total(({ bytesDown }) => bytesDown),
  };
}

function tell(message: FromBots): void {
  process.send?.(message);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
