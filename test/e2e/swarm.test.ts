/**
 * The whole of Drove on real MNIST: a coordinator process, volunteers in headless Chromium. Two train, one joins late,
 * one crashes, the coordinator is killed without warning and comes back, and the same pages train on.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunView, ReplicaView } from "../../shared/run_view.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { crash, pressStart, startVolunteerBrowser, type VolunteerBrowser } from "../support/volunteer_browser.ts";

interface LedgerLine {
  readonly replica: string;
  readonly exchange: number;
  readonly verdict: string;
  readonly staleness: number | null;
  readonly version: number;
  readonly incarnation: number;
}

const TRAINING_TIMEOUT_MS = 420_000;
const REACTION_TIMEOUT_MS = 90_000;
/** A checkpoint is due every second; writing it on a busy machine takes some of the next. */
const CHECKPOINT_AGE_MS = 2000;

/** Smaller steps where one takes long, so that exchanges come often enough to be watched. */
const CASES = [
  { backend: "webgpu", pace: ["--batch", "32", "--communication-period", "4", "--learning-rate", "0.02"] },
  { backend: "auto", pace: [] },
] as const;

function connected(view: RunView): readonly ReplicaView[] {
  return view.replicas.filter((replica) => replica.connected);
}

async function shownLoss(page: Page): Promise<number> {
  return Number(await page.locator("#loss").textContent());
}

describe.each(CASES)("A swarm with --backend $backend", ({ backend, pace }) => {
  let browser: VolunteerBrowser;
  let coordinator: CoordinatorProcess;
  let runsFolder: string;
  const pages: Page[] = [];
  const args = ["--name", "swarm", "--backend", backend, ...pace];

  beforeAll(async () => {
    runsFolder = await mkdtemp(join(tmpdir(), "drove-swarm-"));
    [browser, coordinator] = await Promise.all([startVolunteerBrowser(), startCoordinator({ args, runsFolder })]);
  });

  afterAll(async () => {
    await browser.close();
    await coordinator.stop();
    await rm(runsFolder, { recursive: true, force: true });
  });

  async function joinAnother(): Promise<void> {
    const page = await browser.open(coordinator.url);
    pages.push(page);
    await pressStart(page);
  }

  async function ledger(): Promise<LedgerLine[]> {
    const text = await readFile(join(runsFolder, "swarm", "ledger.jsonl"), "utf8");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as LedgerLine);
  }

  test("Two pages train, each with at least a quarter of the applied exchanges, and held-out accuracy rises above 90 %", async () => {
    await Promise.all([joinAnother(), joinAnother()]);
    // Whoever began first may bring it to 90 % before the other has come: shares are of what both made while both were there.
    const before = await coordinator.until(
      "two replicas exchange",
      ({ replicas }) => replicas.length === 2 && replicas.every(({ applied }) => applied >= 1),
      TRAINING_TIMEOUT_MS,
    );
    const earlier = new Map(before.replicas.map(({ id, applied }) => [id, applied]));
    const since = ({ id, applied }: ReplicaView): number => applied - (earlier.get(id) ?? 0);
    const view = await coordinator.until(
      "90 % with two replicas",
      ({ accuracy, replicas }) => (accuracy ?? 0) > 0.9 && replicas.every((replica) => since(replica) >= 4),
      TRAINING_TIMEOUT_MS,
    );
    for (const replica of view.replicas) {
      const share = since(replica) / (view.applied - before.applied);
      expect(share, JSON.stringify(view.replicas)).toBeGreaterThanOrEqual(0.25);
      if (backend === "webgpu") expect(replica.backend).toBe("webgpu");
      expect(replica.device).not.toBe("");
    }
    expect(view.refused).toBe(0);
    expect(view.staleness.max).toBeGreaterThan(0);
  });

  test("A third page joins late, starts from the center and is within one exchange of it", async () => {
    const before = await coordinator.view();
    await joinAnother();
    const view = await coordinator.until(
      "the third replica's exchange",
      ({ replicas }) => (replicas[2]?.applied ?? 0) >= 1,
      REACTION_TIMEOUT_MS,
    );
    const third = view.replicas[2]!;
    const first = (await ledger()).find((line) => line.replica === third.id);
    // Its base was the center of some version since it joined: what it had not seen is what others applied meanwhile.
    expect(first!.verdict).toBe("applied");
    expect(first!.version - 1 - first!.staleness!).toBeGreaterThanOrEqual(before.version);
    // A replica that had started from scratch would show ln 10 = 2.3 and pull the center down with it.
    // The page shows it once the software adapter leaves the processor to it for a moment.
    await expect.poll(() => shownLoss(pages[2]!), { timeout: REACTION_TIMEOUT_MS }).toBeGreaterThan(0);
    expect(await shownLoss(pages[2]!)).toBeLessThan(1);
  });

  test("A page that crashes leaves, and the run goes on", async () => {
    await crash(pages[0]!);
    const without = await coordinator.until(
      "the crashed replica's leave",
      (view) => connected(view).length === 2,
      REACTION_TIMEOUT_MS,
    );
    const on = await coordinator.until(
      "exchanges of the others",
      (view) =>
        connected(view).every(({ id, applied }) => applied > without.replicas.find((one) => one.id === id)!.applied),
      REACTION_TIMEOUT_MS,
    );
    expect(on.accuracy).toBeGreaterThan(0.85);
  });

  test("[L5] [H6] Killed and restarted with --resume the coordinator has lost one checkpoint interval at most and nothing acknowledged, and the same pages train on", async () => {
    const seen: { readonly atMs: number; readonly version: number }[] = [];
    const { version: startVersion } = await coordinator.view();
    let last = await coordinator.until(
      "some more exchanges",
      (view) => {
        seen.push({ atMs: performance.now(), version: view.version });
        return view.version >= startVersion + 3;
      },
      REACTION_TIMEOUT_MS,
    );
    // One more checkpoint interval, so that an older version is known to be due on disk.
    await new Promise((resolve) => setTimeout(resolve, CHECKPOINT_AGE_MS));
    last = await coordinator.view();
    const killedAtMs = performance.now();
    await coordinator.kill();
    const acknowledged = last.replicas.map(({ id, applied }) => ({ id, applied }));
    const lines = await ledger();
    for (const { id, applied } of acknowledged) {
      const written = lines.filter((line) => line.replica === id && line.verdict === "applied").length;
      expect(written).toBeGreaterThanOrEqual(applied);
    }

    const { port } = coordinator;
    coordinator = await startCoordinator({ args: [...args, "--resume"], runsFolder, port });
    const resumed = await coordinator.view();
    const due = seen.findLast(({ atMs }) => atMs <= killedAtMs - CHECKPOINT_AGE_MS)!;
    expect(resumed.version).toBeGreaterThanOrEqual(due.version);
    expect(resumed.incarnation).toBe(2);
    for (const { id, applied } of acknowledged) {
      expect(resumed.replicas.find((replica) => replica.id === id)!.applied).toBeGreaterThanOrEqual(applied);
    }

    const survivors = connected(last)
      .map(({ id }) => id)
      .toSorted();
    const back = await coordinator.until(
      "the same replicas training on",
      (view) =>
        survivors.every((id) => {
          const [before, now] = [resumed, view].map((each) => each.replicas.find((replica) => replica.id === id));
          return now?.connected === true && now.applied > before!.applied;
        }),
      REACTION_TIMEOUT_MS,
    );
    expect(
      connected(back)
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(survivors);
    const evaluated = await coordinator.until(
      "an evaluation",
      (view) => view.history.length > resumed.history.length,
      REACTION_TIMEOUT_MS,
    );
    expect(evaluated.accuracy).toBeGreaterThan(0.85);
  });

  test("Stopped by a signal the coordinator ends cleanly and tells its volunteers", async () => {
    const { exitCode, lastLine } = await coordinator.stop();
    expect(exitCode).toBe(0);
    const result = JSON.parse(lastLine) as { exchanges: number; checkpoint: string; replicas: unknown[] };
    expect(result.replicas).toHaveLength(3);
    expect(result.exchanges).toBeGreaterThan(0);
    await expect.poll(() => pages[1]!.locator("body").getAttribute("data-phase"), { timeout: 20_000 }).toBe("finished");
  });
});
