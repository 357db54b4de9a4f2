/**
 * A task: what an exchange costs over a real WebSocket when a model's tensors travel as one packed message, as one message each
 * that waits for its acknowledgement, or as one message each without waiting. The kinds take turns, so that whatever else this machine does
 * meets all of them.
 */

import { once } from "node:events";
import { WebSocket } from "ws";

export interface MessageTimesTask {
  readonly url: string;
  /** Of each tensor. */
  readonly tensorBytes: readonly number[];
  /** Measured exchanges of each kind. */
  readonly exchanges: number;
}

/** Medians, in seconds. */
export interface MessageTimes {
  readonly packedSeconds: number;
  readonly perTensorSeconds: number;
  readonly pipelinedSeconds: number;
  /** a: there and back with a single byte each way. */
  readonly emptySeconds: number;
}

/** A connection slows down and speeds up at first. */
const WARM_UP_EXCHANGES = 10;

export default async function messageTimes(task: MessageTimesTask): Promise<MessageTimes> {
  const { url, tensorBytes, exchanges } = task;
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await once(socket, "open");
  const tensors = tensorBytes.map((bytes) => new Uint8Array(bytes));
  const packed = new Uint8Array(tensorBytes.reduce((sum, bytes) => sum + bytes, 0));
  const exchange = async (messages: readonly Uint8Array[], perAcknowledgement: number): Promise<number> => {
    socket.send(String(perAcknowledgement));
    const startMs = performance.now();
    for (let at = 0; at < messages.length; at += perAcknowledgement) {
      const acknowledged = once(socket, "message");
      for (const message of messages.slice(at, at + perAcknowledgement)) socket.send(message);
      await acknowledged;
    }
    return (performance.now() - startMs) / 1000;
  };
  const kinds = {
    packedSeconds: () => exchange([packed], 1),
    perTensorSeconds: () => exchange(tensors, 1),
    pipelinedSeconds: () => exchange(tensors, tensors.length),
    emptySeconds: () => exchange([new Uint8Array(1)], 1),
  };
  const seconds: Record<keyof MessageTimes, number[]> = {
    packedSeconds: [],
    perTensorSeconds: [],
    pipelinedSeconds: [],
    emptySeconds: [],
  };
  for (let round = -WARM_UP_EXCHANGES; round < exchanges; round++) {
    for (const kind of Object.keys(kinds) as (keyof MessageTimes)[]) {
      const taken = await kinds[kind]();
      if (round >= 0) seconds[kind].push(taken);
    }
  }
  socket.close();
  await once(socket, "close");
  return {
    packedSeconds: medianOf(seconds.packedSeconds),
    perTensorSeconds: medianOf(seconds.perTensorSeconds),
    pipelinedSeconds: medianOf(seconds.pipelinedSeconds),
    emptySeconds: medianOf(seconds.emptySeconds),
  };
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
