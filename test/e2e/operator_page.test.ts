/**
 * The operator's page against a real coordinator with two volunteers in Node, in a real browser: every order and every setting is given by
 * the page and seen in the run; another run is set beside it and shown again to its end; and the model is taken home.
 */

import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Download, Page } from "playwright";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RunView } from "../../shared/run_view.ts";
import { startCoordinator, type CoordinatorProcess } from "../support/coordinator_process.ts";
import { startNodeVolunteers, type NodeVolunteers } from "../support/node_volunteers.ts";
import { PageVisits, REACTION_TIMEOUT_MS, type Visit } from "../support/page_visits.ts";

/** A run that ended, with the log that a real one left. */
const REPLAYED = fileURLToPath(new URL("../support/replay/replayed", import.meta.url));
/** Long enough for an exchange that was in flight to arrive, and for another that should not come. */
const STILL_MS = 2500;
const PHONE = { width: 360, height: 780 } as const;

const ARGS = ["--name", "operated", "--model", "mlp", "--backend", "wasm"] as const;

let runsFolder: string;
let visits: PageVisits;
let coordinator: CoordinatorProcess;
let volunteers: NodeVolunteers;

beforeAll(async () => {
  runsFolder = await mkdtemp(join(tmpdir(), "drove-test-"));
  await cp(REPLAYED, join(runsFolder, "replayed"), { recursive: true });
  [visits, coordinator] = await Promise.all([PageVisits.open(), startCoordinator({ args: ARGS, runsFolder })]);
  volunteers = startNodeVolunteers(coordinator.url, 2);
  await coordinator.until("two replicas train", isTrainedByTwo, REACTION_TIMEOUT_MS);
});

afterEach(async () => {
  await visits.leave();
});

afterAll(async () => {
  await volunteers.stop();
  await visits.close();
  await coordinator.stop();
  await rm(runsFolder, { recursive: true, force: true });
});

function connected({ replicas }: RunView): RunView["replicas"] {
  return replicas.filter((replica) => replica.connected);
}

function isTrainedByTwo(view: RunView): boolean {
  return connected(view).length === 2 && view.exchanges > 4 && view.history.length > 1;
}

async function openOperator(context?: object): Promise<Visit> {
  const visit = await visits.visit(await coordinator.operatorUrl(), { context: context ?? {} });
  await visit.page.locator("#rows tr").first().waitFor({ timeout: REACTION_TIMEOUT_MS });
  return visit;
}

/** What the page says, until it says so. */
async function says(page: Page, selector: string, words: string | RegExp): Promise<void> {
  const expected = typeof words === "string" ? expect.stringContaining(words) : expect.stringMatching(words);
  await expect.poll(() => page.locator(selector).textContent(), { timeout: REACTION_TIMEOUT_MS }).toEqual(expected);
}

async function samples(): Promise<number> {
  return (await coordinator.view()).samples;
}

test("[O1] Without the token the page asks for it, a wrong one is refused in words, and the link's is taken and cleared away", async () => {
  const { page } = await visits.visit(`${coordinator.url}/operator`);
  await page.locator("#token:visible").waitFor();
  expect(await page.locator(".if-open:visible").count()).toBe(0);
  await says(page, "#token-advice", "operator.token");
  await page.locator("#token").fill("not-the-token-of-this-run");
  await page.keyboard.press("Enter");
  await says(page, "#token-problem", "does not take this token");
  expect(await page.locator(".if-open:visible").count()).toBe(0);
  await page.locator("#token").fill(await coordinator.operatorUrl());
  await page.keyboard.press("Enter");
  await says(page, "#run", "operated");
  expect(await page.locator("#token:visible").count()).toBe(0);
  // Kept for this tab, and for no other.
  await page.reload();
  await says(page, "#run", "operated");
  expect(await page.evaluate("JSON.stringify(localStorage)")).not.toContain(await coordinator.token());
  const { page: linked, errors, origins } = await openOperator();
  expect(new URL(linked.url()).hash).toBe("");
  expect(errors).toEqual([]);
  expect([...origins].filter((origin) => origin !== "null")).toEqual([new URL(coordinator.url).origin]);
});

test("[O2] Pause makes the samples stand still, and Resume makes them grow", async () => {
  const { page } = await openOperator();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await says(page, "#state", "paused");
  await page.waitForTimeout(STILL_MS);
  const before = await samples();
  await page.waitForTimeout(STILL_MS);
  expect(await samples()).toBe(before);
  expect((await coordinator.view()).isPaused).toBe(true);
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await says(page, "#state", "training");
  await coordinator.until("training goes on", (view) => view.samples > before, REACTION_TIMEOUT_MS);
});

test("[O4] Every setting is changed from the page, and seen in the run, in the log on the page, and on the curves", async () => {
  const { page, errors } = await openOperator();
  await page.locator("#set-learningRate").fill("-1");
  await page.locator("#apply").click();
  await says(page, "#set-learningRate-problem", 'Learning rate is "-1"; accepted is above 0, at most 100.');
  expect((await coordinator.view()).changes).toEqual([]);

  await page.locator("#set-learningRate").fill("0.02");
  await page.locator("#set-momentum").fill("0.8");
  await page.locator("#set-communicationPeriod").fill("7");
  await page.locator("#set-elasticRate").fill("0.8");
  await page.locator("#set-staleness-way").selectOption({ label: "scale: half the rate at" });
  await page.locator("#set-staleness").fill("16");
  await page.locator("#apply").click();
  await says(page, "#settings-answer", "Learning rate 0.03 → 0.02");
  // Only now: beside a fixed one the elastic rate would be of no use.
  await page.locator("#set-movingRate-way").selectOption({ label: "fixed at" });
  await page.locator("#set-movingRate").fill("0.3");
  await page.locator("#apply").click();
  await says(page, "#settings-answer", /Moving rate α .* → 0.3/);

  const { hyperparameters, changes } = await coordinator.view();
  expect(hyperparameters).toMatchObject({
    learningRate: 0.02,
    momentum: 0.8,
    communicationPeriod: 7,
    elasticRate: 0.8,
    movingRate: 0.3,
    staleness: { kind: "scale", halfRateStaleness: 16 },
  });
  expect(changes).toHaveLength(6);
  await expect.poll(() => page.locator("#changes tr").count()).toBe(6);
  await says(page, "#changes", /Learning rate0.030.02operator/);
  await says(page, "#learning-rate", "0.02");
  await says(page, "#period", "7");
  await says(page, "#marks-note", "6 changes are marked");
  await page.locator("#axis-switch input[value=samples]").check({ force: true });
  await says(page, "#marks-note", "6 changes are marked");
  expect(await page.locator("#accuracy-chart canvas").count()).toBe(1);
  expect(errors).toEqual([]);
});

test("Another run of the folder is set beside this one, with the differences marked", async () => {
  const { page, errors } = await openOperator();
  for (const name of ["operated", "replayed"]) await page.getByRole("checkbox", { name }).check();
  await page.locator("#comparison:visible").waitFor({ timeout: REACTION_TIMEOUT_MS });
  const row = (title: string) => page.locator("#comparison-rows tr").filter({ hasText: title }).first();
  expect(await page.locator("#comparison-head th").allTextContents()).toEqual(["operated", "replayed"]);
  await expect.poll(() => row("Accuracy").locator("td").last().textContent()).toBe("98.15 %");
  expect(await row("Model").getAttribute("class")).not.toContain("different");
  expect(await row("Moving rate").getAttribute("class")).toContain("different");
  const [here, there] = await row("Moving rate").locator("td").allTextContents();
  expect(there).toBe("0.2");
  expect(here).not.toBe(there);
  await says(page, "#accuracy-chart .chart-key", /operated.*replayed98.15 %/);
  expect(errors).toEqual([]);
});

test("A finished run is played to its end at 100 times its speed, marked as a replay, with the accuracy of its result", async () => {
  const { page, errors } = await openOperator();
  const result = JSON.parse(await readFile(join(REPLAYED, "result.json"), "utf8")) as {
    accuracy: number;
    samples: number;
  };
  await page.getByRole("button", { name: "Replay replayed" }).click();
  await page.locator("#replay:visible").waitFor({ timeout: REACTION_TIMEOUT_MS });
  await says(page, "#replay-title", "Replay of replayed");
  await says(page, "#state", "waiting");
  await says(page, "#samples", "0 so far");
  for (const id of ["pause", "resume", "drain", "finish", "apply"])
    expect(await page.locator(`#${id}`).isDisabled(), id).toBe(true);
  await says(page, "#replay-event", "The run began");
  const told: string[] = [];
  while (told.length < 5 && !told.at(-1)?.includes("joined")) {
    await page.getByRole("button", { name: "To the next event" }).click();
    told.push((await page.locator("#replay-event").textContent()) ?? "");
  }
  expect(told.at(-1)).toMatch(/r1-\d joined/);
  expect(await page.locator("#rows tr:not(.left)").count()).toBeGreaterThan(0);
  expect(await page.locator("#rows button:enabled").count()).toBe(0);
  // Somewhere in the middle: a change was made, and is in the log of changes.
  await page.locator("#replay-scrub").fill("8");
  await says(page, "#learning-rate", "0.02");
  expect(await page.locator("#changes tr").count()).toBe(3);

  await page.locator("#replay-speed").selectOption("100");
  await page.locator("#replay-play").click();
  await says(page, "#replay-play", "Play again");
  await says(page, "#accuracy", `${(100 * result.accuracy).toFixed(2)} %`);
  await says(page, "#samples", `${result.samples.toLocaleString("en")} so far`);
  await says(page, "#state", "stopped");
  await says(page, "#replay-event", "The run ended");
  await page.locator("#replay-leave").click();
  await says(page, "#run", "operated");
  expect(await page.locator("#pause").isEnabled()).toBe(true);
  expect(errors).toEqual([]);
});

test("The model, its card and the event log are downloaded with the token", async () => {
  const { page, errors } = await openOperator();
  const files = new Map<string, Buffer>();
  for (const format of ["safetensors", "card", "events"]) {
    const [download] = await Promise.all([
      page.waitForEvent("download", { timeout: REACTION_TIMEOUT_MS }),
      page.locator(`#exports button[data-format=${format}]`).click(),
    ]);
    expect(download.suggestedFilename(), format).toMatch(/^[\w.-]+$/);
    files.set(format, await contentOf(download));
  }
  await says(page, "#exports", /Saved, \d/);
  const weights = files.get("safetensors") ?? Buffer.alloc(0);
  const header = JSON.parse(weights.subarray(8, 8 + Number(weights.readBigUInt64LE(0))).toString()) as object;
  expect(Object.keys(header)).toContain("__metadata__");
  expect(weights.byteLength).toBeGreaterThan(4 * 235_146);
  expect(files.get("card")?.toString()).toContain("operated");
  const log = files.get("events")?.toString().trimEnd().split("\n") ?? [];
  expect(JSON.parse(log[0] ?? "")).toMatchObject({ kind: "began", settings: { run: "operated" } });
  for (const content of files.values()) expect(content.byteLength).toBeGreaterThan(100);
  expect(errors).toEqual([]);
});

async function contentOf(download: Download): Promise<Buffer> {
  return readFile(await download.path());
}

test("Replicas are sorted by any column, and on a phone nothing is wider than the page", async () => {
  const { page } = await openOperator();
  const ids = (): Promise<string[]> =>
    page.evaluate<string[]>("[...document.querySelectorAll('#rows tr')].map((row) => row.dataset.replica)");
  await page.getByRole("button", { name: "Replica", exact: true }).click();
  const ascending = await ids();
  expect(ascending).toEqual(ascending.toSorted());
  await page.getByRole("button", { name: "Replica", exact: true }).click();
  expect(await ids()).toEqual(ascending.toReversed());
  expect(await page.locator("th[data-column=replica]").getAttribute("aria-sort")).toBe("descending");
  for (const colorScheme of ["light", "dark"] as const) {
    const { page: phone } = await openOperator({ viewport: PHONE, colorScheme });
    const overflowPx = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    expect(await phone.evaluate(overflowPx)).toBe(0);
  }
});

test("[O3] Kick asks once more, and then removes one replica for good; drain lets another one finish and leave", async () => {
  const { page } = await openOperator();
  const [first, second] = connected(await coordinator.view());
  if (first === undefined || second === undefined) throw new Error("Two replicas are needed.");
  await page.getByRole("button", { name: `Kick ${first.id}` }).click();
  await says(page, "#confirm-title", `Kick ${first.id}?`);
  await page.locator("#confirm-no").click();
  expect(connected(await coordinator.view()).map(({ id }) => id)).toContain(first.id);
  await page.getByRole("button", { name: `Kick ${first.id}` }).click();
  await page.locator("#confirm-yes").click();
  await says(page, "#replica-answer", first.id);
  await coordinator.until(
    "it is out",
    (view) => !connected(view).some(({ id }) => id === first.id),
    REACTION_TIMEOUT_MS,
  );
  await page.getByRole("button", { name: `Drain ${second.id}` }).click();
  await coordinator.until(
    "it left",
    (view) => !connected(view).some(({ id }) => id === second.id),
    REACTION_TIMEOUT_MS,
  );
  await expect
    .poll(() => page.locator(`#rows tr.left[data-replica="${second.id}"]`).count(), { timeout: REACTION_TIMEOUT_MS })
    .toBe(1);
});

test("A coordinator that is gone is missed, and one that goes on with the run is greeted with the same token", async () => {
  const { page } = await openOperator();
  const { port } = coordinator;
  await coordinator.kill();
  await says(page, "#notices", "The coordinator does not answer");
  await says(page, "#state", "coordinator gone");
  coordinator = await startCoordinator({ args: [...ARGS, "--resume"], runsFolder, port });
  await page.locator(".notice").waitFor({ state: "detached", timeout: REACTION_TIMEOUT_MS });
  await says(page, "#incarnation", "2");
  expect(await page.locator("#changes tr").count()).toBe(6);
});

test("Finish asks once more, and then the run ends and the page says so", async () => {
  const { page } = await openOperator();
  await page.locator("#finish").click();
  await page.keyboard.press("Escape");
  expect((await coordinator.view()).state).not.toBe("stopped");
  await page.locator("#finish").click();
  await page.locator("#confirm-yes").click();
  const { exitCode } = await coordinator.ended;
  expect(exitCode).toBe(0);
  await says(page, "#notices", "The run is over");
  await says(page, "#state", "stopped");
});
