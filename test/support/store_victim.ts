/**
 * A process to be killed: writes checkpoints and ledger lines in a loop and says on stdout, after each, that it is on disk.
 * Started by `test/null/store_kill.test.ts` with the run's folder as its argument.
 */

import { join } from "node:path";
import { CheckpointWriter } from "../../coordinator/store/checkpoint_writer.ts";
import { readCheckpoint } from "../../coordinator/store/checkpoint.ts";
import { Ledger } from "../../coordinator/store/ledger.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";

const folder = process.argv[2]!;
const layout = layoutOf(MODELS.mlp);

async function writeCheckpoints(): Promise<void> {
  const found = await readCheckpoint(folder, layout);
  const writer = new CheckpointWriter(folder, layout);
  for (let version = (found?.version ?? 0) + 1; ; version++) {
    const parameters = new Float32Array(layout.elements).fill(version);
    const velocity = new Float32Array(layout.elements).fill(-version);
    await writer.write({ version, parameters, velocity, state: { samples: version * 64 } });
    process.stdout.write(`checkpoint ${version}\n`);
  }
}

async function appendLines(): Promise<void> {
  const ledger = await Ledger.open(join(folder, "ledger.jsonl"));
  let exchange = 0;
  for await (const entry of ledger.entries()) exchange = entry.exchange;
  const append = async (): Promise<void> => {
    for (;;) {
      const mine = ++exchange;
      const common = { at: new Date().toISOString(), incarnation: 1, replica: "r".repeat(mine % 50), exchange: mine };
      await ledger.append({ ...common, verdict: "applied", staleness: 0, version: mine, steps: 10, samples: 640 });
      process.stdout.write(`line ${mine}\n`);
    }
  };
  await Promise.all([append(), append(), append()]);
}

await Promise.all([writeCheckpoints(), appendLines()]);
