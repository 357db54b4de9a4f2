/**
 * Time and processor time of exchanges, of several parties in turn: in each round every party makes a block of exchanges, close
 * together and each time in another order, so that a neighbour's load meets all alike.
 */

import { medianOf } from "../../../client/node/measuring.ts";
import { helpersCpuMs } from "./helper_processes.ts";
import type { Party } from "./party.ts";
import { ServerProcess } from "./server_process.ts";

export interface Effort {
  readonly warmUpMs: number;
  readonly warmUpExchanges: number;
  readonly rounds: number;
  /** Per party and round. */
  readonly blockExchanges: number;
  /** After it no further round is begun; one is made in any case. */
  readonly limitMs: number;
}

export interface Measured {
  /** Median over all exchanges. */
  readonly exchangeMs: number;
  /** Both processes, mean over all exchanges. */
  readonly cpuMs: number;
  /** Of each round, median. */
  readonly roundMs: readonly number[];
}

interface Block {
  readonly timesMs: number[];
  readonly cpuMs: number;
}

export async function measureInTurn<Name extends string>(
  parties: ReadonlyMap<Name, Party>,
  effort: Effort,
): Promise<Map<Name, Measured>> {
  for (const party of parties.values()) await warmUp(party, effort);
  const blocks = new Map<Name, Block[]>([...parties.keys()].map((name) => [name, []]));
  const order = [...parties];
  const untilMs = performance.now() + effort.limitMs;
  for (let round = 0; round < effort.rounds && (round === 0 || performance.now() < untilMs); round++) {
    for (const [name, party] of order) blocks.get(name)?.push(await blockOf(party, effort.blockExchanges));
    order.push(...order.splice(0, 1));
  }
  return new Map([...blocks].map(([name, made]) => [name, summaryOf(made)]));
}

async function warmUp(party: Party, { warmUpMs, warmUpExchanges }: Effort): Promise<void> {
  const untilMs = performance.now() + warmUpMs;
  for (let made = 0; made < warmUpExchanges && (made < 2 || performance.now() < untilMs); made++)
    await party.exchange();
}

async function blockOf(party: Party, exchanges: number): Promise<Block> {
  const timesMs: number[] = [];
  const serverBefore = await party.server.usage();
  const helpersBefore = helpersCpuMs(process.pid, ServerProcess.pids);
  const clientBefore = process.cpuUsage();
  for (let made = 0; made < exchanges; made++) {
    const beganMs = performance.now();
    await party.exchange();
    timesMs.push(performance.now() - beganMs);
  }
  const { user, system } = process.cpuUsage(clientBefore);
  const helpersMs = helpersCpuMs(process.pid, ServerProcess.pids) - helpersBefore;
  const { cpuMs } = await party.server.usage();
  return { timesMs, cpuMs: cpuMs - serverBefore.cpuMs + (user + system) / 1000 + helpersMs };
}

function summaryOf(blocks: readonly Block[]): Measured {
  const timesMs = blocks.flatMap((block) => block.timesMs);
  return {
    exchangeMs: medianOf(timesMs),
    cpuMs: blocks.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / timesMs.length,
    roundMs: blocks.map((block) => medianOf(block.timesMs)),
  };
}

/** Median over the rounds of `measured` over `raw`. */
export function ratioOf(measured: Measured, raw: Measured): number {
  return medianOf(measured.roundMs.map((ms, round) => ms / (raw.roundMs[round] ?? NaN)));
}
