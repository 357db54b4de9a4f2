/** SC17 §5.2, single-layer communication: all tensors of the model in one message, or a message for each, over a real WebSocket. */

import { MODELS } from "../../../shared/model/catalogue.ts";
import { layoutOf } from "../../../shared/model/layout.ts";
import { findingOf } from "../findings.ts";
import type { Experiment, ExperimentContext, Finding } from "../paper.ts";
import { barFigure } from "../plots.ts";
import { shown } from "../report.ts";
import { meanOf, pairedRatio } from "../statistics.ts";
import { startMessageServer } from "./message_server.ts";
import type { MessageTimes, MessageTimesTask } from "./message_times.ts";

const EXCHANGES = { quick: 60, full: 300 };

/** The model of latency and bandwidth is right within this factor. */
const FACTOR = 2;

export const MESSAGES: Experiment = {
  name: "messages",
  title: "One packed message against one for each tensor",
  method: `LeNet's eight tensors (1.72 MB) go to a server on this machine over a real WebSocket, as one packed message or as eight; an exchange ends with the server's acknowledgement, and a seed is a connection of its own, of which the median exchange counts. *Each waits* acknowledges every tensor before the next is sent, as blocking sends do; *pipelined* sends all eight at once. *a* is measured as an exchange of one byte. A loopback has next to no latency, so what is saved here is the least that can be saved anywhere.`,
  claims: [
    {
      id: "packed-faster",
      statement: "An exchange of one packed message is faster than of one message for each of eight tensors",
      paperValue: "faster: L messages cost L a + b n, one costs a + b n",
      unit: "times the packed one's time",
    },
    {
      id: "packed-saving",
      statement: "Packing saves (L - 1) a for L tensors",
      paperValue: "1",
      unit: "of (L - 1) a",
    },
  ],
  run: compareMessages,
};

async function compareMessages(context: ExperimentContext): Promise<readonly Finding[]> {
  const tensorBytes = layoutOf(MODELS.lenet).tensors.map(({ elements }) => 4 * elements);
  const server = await startMessageServer();
  const times: MessageTimes[] = [];
  try {
    // One after the other: two connections at once would measure each other.
    for (const _ of context.seeds) {
      const exchanges = context.isQuick ? EXCHANGES.quick : EXCHANGES.full;
      const task: MessageTimesTask = { url: server.url, tensorBytes, exchanges };
      times.push(await context.pool.run(new URL("./message_times.ts", import.meta.url), task));
    }
  } finally {
    await server.close();
  }
  context.record("times", times);
  report(context, times);
  const ratio = pairedRatio(
    times.map((time) => time.perTensorSeconds),
    times.map((time) => time.packedSeconds),
  );
  const saved = times.map(
    ({ perTensorSeconds, packedSeconds, emptySeconds }) =>
      (perTensorSeconds - packedSeconds) / ((tensorBytes.length - 1) * emptySeconds),
  );
  return [
    findingOf("packed-faster", ratio, { kind: "above", border: 1 }),
    findingOf(
      "packed-saving",
      meanOf(saved),
      { kind: "within", low: 1 / FACTOR, high: FACTOR },
      `Counts as reproduced within a factor of ${FACTOR}.`,
    ),
  ];
}

function report(context: ExperimentContext, times: readonly MessageTimes[]): void {
  const kinds = [
    ["packed", "packedSeconds"],
    ["pipelined", "pipelinedSeconds"],
    ["each waits", "perTensorSeconds"],
    ["one byte (a)", "emptySeconds"],
  ] as const;
  const bars = kinds.map(([name, kind]) => {
    const { mean, low, high } = meanOf(times.map((time) => 1000 * time[kind]));
    return { name, value: mean, low, high };
  });
  context.figure(
    barFigure({
      name: "times",
      title: "One exchange of LeNet over a loopback WebSocket",
      caption: "Milliseconds of one exchange, median of each connection, mean of all connections with its interval.",
      y: { title: "ms" },
      bars,
    }),
  );
  context.table({
    title: "Milliseconds of one exchange",
    columns: ["kind", "mean", "interval"],
    rows: bars.map(({ name, value, low, high }) => [name, value, `${shown(low)} to ${shown(high)}`]),
  });
}
