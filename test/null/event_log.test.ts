/** The event log on a real disk: what is in it after a kill, a torn line, and a disk that takes no more. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ViewLog } from "../../coordinator/operator/view_log.ts";
import { EventLog } from "../../coordinator/store/event_log.ts";
import type { LoggedEvent, RunEvent } from "../../shared/run_log.ts";
import type { ReplicaView, RunView } from "../../shared/run_view.ts";
import { RunFixture } from "../support/run_fixture.ts";

const VICTIM = fileURLToPath(new URL("../support/event_log_victim.ts", import.meta.url));

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "drove-events-"));
});
afterAll(() => rm(folder, { recursive: true }));

function open(path: string, problems: string[] = []): Promise<EventLog> {
  return EventLog.open(path, {
    nowIso: () => "2026-11-21T12:00:00.000Z",
    seconds: () => 7.5,
    onProblem: (sentence) => problems.push(sentence),
  });
}

async function allOf(log: EventLog): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of log.events()) events.push(event);
  return events;
}

test("An event is in the file when append returns, with its time, and is read back", async () => {
  const path = join(folder, "plain.jsonl");
  const log = await open(path);
  log.append({ kind: "paused" });
  expect(await readFile(path, "utf8")).toBe('{"kind":"paused","at":"2026-11-21T12:00:00.000Z","seconds":7.5}\n');
  log.append({ kind: "left", replica: "r1-1", forGood: true });
  expect(await allOf(log)).toEqual([
    { kind: "paused", at: "2026-11-21T12:00:00.000Z", seconds: 7.5 },
    { kind: "left", at: "2026-11-21T12:00:00.000Z", seconds: 7.5, replica: "r1-1", forGood: true },
  ]);
  await log.close();
});

test("A line that was cut off is gone after opening, what is no event is passed over, and appending goes on behind", async () => {
  const path = join(folder, "torn.jsonl");
  const first = await open(path);
  first.append({ kind: "paused" });
  await first.close();
  await appendFile(path, '[1, 2]\n"text"\n{"kind":"resu');
  const second = await open(path);
  second.append({ kind: "resumed" });
  expect((await allOf(second)).map(({ kind }) => kind)).toEqual(["paused", "resumed"]);
  expect((await readFile(path, "utf8")).split("\n")).toHaveLength(5);
  await second.close();
});

test("Killed at any moment, the log has every event that was acknowledged, in order", async () => {
  const path = join(folder, "killed.jsonl");
  let expected = 0;
  for (const afterMs of [0, 40, 150]) {
    const victim = spawn(process.execPath, [VICTIM, path], { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: victim.stdout });
    let acknowledged = 0;
    const begun = Promise.withResolvers<void>();
    lines.on("line", (text) => {
      acknowledged = Number(text);
      begun.resolve();
    });
    const closed = once(lines, "close");
    await Promise.race([begun.promise, once(victim, "exit")]);
    await sleep(afterMs);
    victim.kill("SIGKILL");
    await closed;
    expect(acknowledged).toBeGreaterThan(expected);
    const log = await open(path);
    const numbers = (await allOf(log)).map((event) => (event.kind === "kicked" ? Number(event.replica) : 0));
    await log.close();
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1));
    expect(numbers.length).toBeGreaterThanOrEqual(acknowledged);
    expected = numbers.length;
  }
});

test.skipIf(process.platform !== "linux")(
  "A disk that takes no more is told of once, and the run goes on",
  async () => {
    const problems: string[] = [];
    const log = await open("/dev/full", problems);
    log.append({ kind: "paused" });
    log.append({ kind: "resumed" });
    expect(problems).toEqual([expect.stringMatching(/dev\/full cannot be written \(ENOSPC\): the disk is full/)]);
    await log.close();
  },
);

test("Views are logged once a second while something happens, and thousands of replicas only as seldom as their size allows", async () => {
  const fixture = await RunFixture.create();
  const small = fixture.run.view();
  const { peer } = await fixture.join();
  const replicas: ReplicaView[] = Array.from({ length: 1500 }, (_, index) => ({
    ...fixture.run.view().replicas[0]!,
    id: `r1-${index}`,
    samples: index,
    connected: index % 3 === 0,
  }));
  let [nowMs, version] = [0, 0];
  let present: RunView = small;
  const lines: LoggedEvent[] = [];
  const log = new ViewLog({
    view: () => ({ ...present, version }),
    append: (event) => lines.push(event),
    nowMs: () => nowMs,
  });
  const run = (seconds: number, isBusy: boolean): LoggedEvent[] => {
    lines.length = 0;
    for (const endMs = nowMs + 1000 * seconds; nowMs < endMs; nowMs += 50) {
      if (isBusy) version++;
      log.tick();
    }
    return [...lines];
  };
  expect(run(10, true)).toHaveLength(10);
  expect(run(100, false).length).toBeLessThanOrEqual(1);
  present = { ...small, replicas };
  const crowded = run(1000, true);
  const bytes = crowded.reduce((sum, event) => sum + JSON.stringify(event).length, 0);
  expect(crowded.length).toBeGreaterThan(1);
  // The first one of them came before its size could put it off.
  expect(bytes / 1000).toBeLessThan(5000);
  const [first] = crowded;
  const shown = first?.kind === "viewed" ? first.view.replicas : [];
  expect(shown).toHaveLength(1000);
  // Everybody who is here, and of the others those who did most.
  expect(shown.filter(({ connected }) => connected)).toHaveLength(500);
  expect(Math.min(...shown.filter(({ connected }) => !connected).map(({ samples }) => samples))).toBeGreaterThan(740);
  peer.cut();
  await fixture.close();
});
