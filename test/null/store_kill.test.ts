import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readCheckpoint, type Checkpoint } from "../../coordinator/store/checkpoint.ts";
import { Ledger } from "../../coordinator/store/ledger.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";

const VICTIM = fileURLToPath(new URL("../support/store_victim.ts", import.meta.url));
const SEED = 20261121;
const KILLS = 10;
const layout = layoutOf(MODELS.mlp);

/** Runs the victim, kills it `afterMs` after its first word, and returns the highest numbers that it called durable. */
async function runAndKill(folder: string, afterMs: number): Promise<{ checkpoint: number; line: number }> {
  const victim = spawn(process.execPath, [VICTIM, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const acknowledged = { checkpoint: 0, line: 0 };
  const lines = createInterface({ input: victim.stdout });
  const { promise: working, resolve: works } = Promise.withResolvers<void>();
  lines.on("line", (text) => {
    const [kind, number] = text.split(" ") as ["checkpoint" | "line", string];
    acknowledged[kind] = Math.max(acknowledged[kind], Number(number));
    if (kind === "checkpoint") works();
  });
  const closed = once(lines, "close");
  const exited = once(victim, "exit");
  // On a busy machine the first lines come long before the first checkpoint.
  await Promise.race([working, exited]);
  await sleep(afterMs);
  victim.kill("SIGKILL");
  expect(await exited).toEqual([null, "SIGKILL"]);
  await closed;
  return acknowledged;
}

/** The victim fills every tensor with the version, the velocity with its negative, and names it in the state. */
function isOfOneMoment({ version, parameters, velocity, state }: Checkpoint): boolean {
  const stated = JSON.stringify(state) === JSON.stringify({ samples: version * 64 });
  return stated && isFilledWith(parameters, version) && velocity !== null && isFilledWith(velocity, -version);
}

function isFilledWith(vector: Float32Array, value: number): boolean {
  return layout.tensors.every(({ offset, elements }) =>
    vector.subarray(offset, offset + elements).every((element) => element === value),
  );
}

test("[L5] [X14] Killed at random moments, the checkpoint is whole and no acknowledged line is lost", async () => {
  const folder = await mkdtemp(join(tmpdir(), "drove-kill-"));
  const random = new Random(SEED);
  const failures: string[] = [];
  let version = 0;
  for (let kill = 1; kill <= KILLS; kill++) {
    const afterMs = random.below(400);
    const acknowledged = await runAndKill(folder, afterMs);
    const place = `seed ${SEED}, kill ${kill} after ${afterMs} ms`;

    const checkpoint = await readCheckpoint(folder, layout);
    const kept = checkpoint?.version ?? 0;
    if (kept < Math.max(version, acknowledged.checkpoint))
      failures.push(`${place}: version ${kept} after ${acknowledged.checkpoint}`);
    if (checkpoint && !isOfOneMoment(checkpoint)) failures.push(`${place}: a mixture`);
    version = kept;

    const ledger = await Ledger.open(join(folder, "ledger.jsonl"));
    let exchange = 0;
    for await (const entry of ledger.entries()) {
      if (entry.exchange !== ++exchange) failures.push(`${place}: line ${exchange} is of exchange ${entry.exchange}`);
    }
    if (exchange < acknowledged.line) failures.push(`${place}: ${exchange} lines after ${acknowledged.line}`);
    await ledger.close();
  }
  expect(failures).toEqual([]);
  // The kills hit a working process, not an idle one.
  expect(version).toBeGreaterThan(KILLS);
  await rm(folder, { recursive: true });
});
