import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readCheckpoint } from "../../coordinator/store/checkpoint.ts";
import { Ledger } from "../../coordinator/store/ledger.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { Random } from "../../shared/random.ts";

const VICTIM = fileURLToPath(new URL("../support/store_victim.ts", import.meta.url));
const SEED = 20261121;
const KILLS = 10;

/** Runs the victim, kills it `afterMs` after its first word, and returns the highest numbers that it called durable. */
async function runAndKill(folder: string, afterMs: number): Promise<{ checkpoint: number; line: number }> {
  const victim = spawn(process.execPath, [VICTIM, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const acknowledged = { checkpoint: 0, line: 0 };
  const lines = createInterface({ input: victim.stdout });
  lines.on("line", (text) => {
    const [kind, number] = text.split(" ") as ["checkpoint" | "line", string];
    acknowledged[kind] = Math.max(acknowledged[kind], Number(number));
  });
  const closed = once(lines, "close");
  const exited = once(victim, "exit");
  await Promise.race([once(lines, "line"), exited]);
  await sleep(afterMs);
  victim.kill("SIGKILL");
  expect(await exited).toEqual([null, "SIGKILL"]);
  await closed;
  return acknowledged;
}

test("[L5] [X14] Killed at random moments, the checkpoint is whole and no acknowledged line is lost", async () => {
  const folder = await mkdtemp(join(tmpdir(), "drove-kill-"));
  const random = new Random(SEED);
  const layout = layoutOf(MODELS.mlp);
  let version = 0;
  for (let kill = 1; kill <= KILLS; kill++) {
    const afterMs = random.below(400);
    const acknowledged = await runAndKill(folder, afterMs);
    const place = `seed ${SEED}, kill ${kill} after ${afterMs} ms`;

    const checkpoint = await readCheckpoint(folder, layout);
    version = Math.max(version, acknowledged.checkpoint);
    expect(checkpoint?.version ?? 0, place).toBeGreaterThanOrEqual(version);
    if (checkpoint) {
      version = checkpoint.version;
      expect(checkpoint.state, place).toEqual({ samples: version * 64 });
      for (const { offset, elements } of layout.tensors) {
        expect(checkpoint.parameters.subarray(offset, offset + elements).every((value) => value === version), place).toBe(true);
        expect(checkpoint.velocity?.subarray(offset, offset + elements).every((value) => value === -version), place).toBe(true);
      }
    }

    const ledger = await Ledger.open(join(folder, "ledger.jsonl"));
    let exchange = 0;
    for await (const entry of ledger.entries()) expect(entry.exchange, place).toBe(++exchange);
    expect(exchange, place).toBeGreaterThanOrEqual(acknowledged.line);
    await ledger.close();
  }
  // The kills hit a working process, not an idle one.
  expect(version).toBeGreaterThan(KILLS);
  await rm(folder, { recursive: true });
});
