/**
 * A compute group of real browsers that average among themselves over data channels: four pages whose volunteers allow it, one of which
 * is killed in the middle. The others go on so, and the run reaches its target.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReplicaView, RunView } from "../../shared/run_view.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { crash, pressStart, startVolunteerBrowser, type VolunteerBrowser } from "../support/volunteer_browser.ts";

interface LedgerLine {
  readonly replica: string;
  readonly exchange: number;
  readonly verdict: string;
}

const TIMEOUT_MS = 180_000;
const MEMBERS = 4;

function averaged(view: RunView): number {
  return view.directRounds?.averaged ?? 0;
}

function isDirect({ averagesDirectly }: ReplicaView): boolean {
  return averagesDirectly;
}

describe("Four browsers in one group", () => {
  let browser: VolunteerBrowser;
  let coordinator: CoordinatorProcess;
  let runsFolder: string;
  const pages: Page[] = [];

  beforeAll(async () => {
    runsFolder = await mkdtemp(join(tmpdir(), "drove-peers-"));
    const model = ["--model", "mlp", "--backend", "wasm", "--target-accuracy", "0.95"];
    const solver = ["--solver", "async-easgd", "--groups", "1", "--peers"];
    [browser, coordinator] = await Promise.all([
      startVolunteerBrowser(),
      startCoordinator({
        command: "train",
        args: ["--name", "peers", "--volunteers", "0", ...model, ...solver],
        runsFolder,
      }),
    ]);
  });

  afterAll(async () => {
    await browser.close();
    await coordinator.stop();
    await rm(runsFolder, { recursive: true, force: true });
  });

  test("[G8] A page asks in plain words before it starts, and does not allow direct connections by itself", async () => {
    for (let member = 0; member < MEMBERS; member++) pages.push(await browser.open(coordinator.url));
    for (const page of pages) {
      const box = page.getByRole("checkbox", { name: /connect directly to the other volunteers/i });
      await box.waitFor();
      expect(await box.isChecked()).toBe(false);
      expect(await page.getByText("would see this computer's network address").isVisible()).toBe(true);
      await box.check();
    }
  });

  test("[G8] They average over data channels", async () => {
    await Promise.all(pages.map((page) => pressStart(page)));
    const view = await coordinator.until(
      "direct averages of four",
      (now) => averaged(now) >= 5 && now.replicas.filter(isDirect).length === MEMBERS,
      TIMEOUT_MS,
    );
    expect(view.refused).toBe(0);
  });

  test("[G8] One is killed in the middle: the other three go on averaging and reach the target", async () => {
    const before = await coordinator.view();
    expect(before.state).toBe("training");
    await crash(pages[0]!);
    await coordinator.until(
      "direct averages of three",
      (now) => averaged(now) >= averaged(before) + 5 && now.replicas.filter(isDirect).length === MEMBERS - 1,
      TIMEOUT_MS,
    );
    const { exitCode, lastLine } = await coordinator.ended;
    const result = JSON.parse(lastLine) as { reason: string };
    expect(exitCode, coordinator.log()).toBe(0);
    expect(result.reason).toContain("target");
  });

  test("[X12] The ledger has every exchange of every replica once", async () => {
    const text = await readFile(join(runsFolder, "peers", "ledger.jsonl"), "utf8");
    const lines = text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as LedgerLine);
    const byReplica = Map.groupBy(lines, ({ replica }) => replica);
    expect(byReplica.size).toBe(MEMBERS);
    for (const own of byReplica.values()) {
      expect(own.every(({ verdict }) => verdict === "applied")).toBe(true);
      expect(own.map(({ exchange }) => exchange)).toEqual(own.map((_, at) => at + 1));
    }
  });
});
