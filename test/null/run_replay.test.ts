/**
 * Runs shown again from their event logs. The log is a real one: two replicas in Node, settings changed, a pause, a coordinator that was
 * killed and went on from its checkpoint, a kick, a drain, and an end by the operator.
 */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { wordsOf } from "../../shared/run_event_words.ts";
import type { RunEvent } from "../../shared/run_log.ts";
import { RunReplay } from "../../shared/run_replay.ts";
import { Random } from "../../shared/random.ts";

const TEXT = readFileSync(new URL("../support/replay/replayed/events.jsonl", import.meta.url), "utf8");
const LINES = TEXT.trimEnd().split("\n");
const EVENTS = LINES.map((line) => JSON.parse(line) as RunEvent);

type Kind = RunEvent["kind"];

function indexOf(kind: Kind, occurrence = 0): number {
  const found = EVENTS.flatMap((event, index) => (event.kind === kind ? [index] : []))[occurrence];
  if (found === undefined) throw new Error(`The log has no event "${kind}" number ${occurrence}.`);
  return found;
}

function eventOf<K extends Kind>(kind: K, occurrence = 0): Extract<RunEvent, { kind: K }> {
  return EVENTS[indexOf(kind, occurrence)] as Extract<RunEvent, { kind: K }>;
}

/** What the log says by itself, counted event by event: an account independent of the one under test. */
function connectedAfter(index: number): Set<string> {
  const here = new Set<string>();
  for (const event of EVENTS.slice(0, index + 1)) {
    if (event.kind === "began" || event.kind === "ended") here.clear();
    if (event.kind === "joined") here.add(event.replica);
    if (event.kind === "left" || event.kind === "kicked") here.delete(event.replica);
  }
  return here;
}

const replay = RunReplay.of(LINES);

function isPausedAfter(index: number): boolean | undefined {
  return replay.viewAfter(index)?.isPaused;
}

describe("A replay of a real run", () => {
  test("has every line of the log, and its length is that of the run", () => {
    expect(replay.events).toBe(LINES.length);
    expect(replay.malformed).toBe(0);
    expect(replay.duration).toBe(EVENTS.at(-1)?.seconds);
    expect(replay.settings?.model.name).toBe("mlp");
  });

  test("ends with the final evaluation, state and totals of the run", () => {
    const end = replay.viewAt(replay.duration);
    const last = EVENTS.findLast((event) => event.kind === "evaluated");
    expect(end?.accuracy).toBe(last?.point.accuracy);
    expect(end?.history.at(-1)).toEqual(last?.point);
    expect(end?.state).toBe("stopped");
    expect(end?.samples).toBe(407_616);
    expect(end?.refusals["KICKED"]).toBe(1);
    expect(end?.samplesPerSecond).toBe(0);
  });

  test("begins with a run that nobody has joined", () => {
    const begin = replay.viewAfter(0);
    expect(begin).toMatchObject({ run: "replayed", state: "waiting", samples: 0, replicas: [], history: [] });
    expect(begin?.hyperparameters.learningRate).toBe(0.03);
  });

  test("shows who was connected after every single event", () => {
    EVENTS.forEach((event, index) => {
      const view = replay.viewAfter(index);
      const here = view?.replicas.filter(({ connected }) => connected).map(({ id }) => id);
      expect(here?.toSorted(), `after event ${index}, ${event.kind}`).toEqual([...connectedAfter(index)].toSorted());
    });
  });

  test("shows a pause between its two events, and not before or after", () => {
    const [paused, resumed] = [indexOf("paused"), indexOf("resumed")];
    expect(isPausedAfter(paused - 1)).toBe(false);
    expect(isPausedAfter(paused)).toBe(true);
    expect(isPausedAfter(resumed - 1)).toBe(true);
    expect(isPausedAfter(resumed)).toBe(false);
  });

  test("knows of a change and of an evaluation from their event on, and of both after the coordinator was killed", () => {
    const changed = indexOf("changed");
    expect(replay.viewAfter(changed - 1)?.changes).toEqual([]);
    expect(replay.viewAfter(changed)?.changes).toEqual([eventOf("changed").change]);
    const again = indexOf("began", 1);
    const after = replay.viewAfter(again);
    expect(after?.incarnation).toBe(2);
    expect(after?.changes.map(({ setting }) => setting)).toEqual(["learningRate", "communicationPeriod", "staleness"]);
    const restored = eventOf("began", 1).seconds;
    const kept = EVENTS.slice(0, again).flatMap((event) =>
      event.kind === "evaluated" && event.point.seconds <= restored ? [event.point] : [],
    );
    expect(kept.length).toBeGreaterThan(3);
    expect(after?.history).toEqual(kept);
  });

  test("gives at any second what it gives after the last event until then, and never goes back", () => {
    const random = new Random(17);
    for (let check = 0; check < 200; check++) {
      const seconds = random.uniform() * replay.duration * 1.1;
      const index = replay.indexAt(seconds);
      expect(replay.secondsOf(index)).toBeLessThanOrEqual(seconds);
      if (index + 1 < replay.events) expect(replay.secondsOf(index + 1)).toBeGreaterThan(seconds);
      expect({ ...replay.viewAt(seconds), seconds: 0 }).toEqual({ ...replay.viewAfter(index), seconds: 0 });
    }
    for (let index = 1; index < replay.events; index++)
      expect(replay.secondsOf(index)).toBeGreaterThanOrEqual(replay.secondsOf(index - 1));
    expect(replay.viewAt(-1)?.state).toBe("waiting");
    expect(replay.viewAt(1e9)?.seconds).toBe(replay.duration);
  });

  test("steps through the events that are neither views nor leases, forwards and back, each with words of its own", () => {
    const steps: number[] = [];
    for (let at = replay.notableAfter(-1); at !== undefined; at = replay.notableAfter(at)) steps.push(at);
    const quiet = new Set<Kind>(["viewed", "leased", "returned", "used"]);
    expect(steps).toEqual(EVENTS.flatMap(({ kind }, index) => (quiet.has(kind) ? [] : [index])));
    const back: number[] = [];
    for (let at = replay.notableBefore(replay.events); at !== undefined; at = replay.notableBefore(at)) back.push(at);
    expect(back).toEqual(steps.toReversed());
    const words = steps.map((step) => {
      const event = replay.eventAt(step);
      return event === undefined ? "" : wordsOf(event);
    });
    expect(words[0]).toBe("The run began");
    expect(words).toContain("A coordinator went on with the run (start 2)");
    expect(words).toContain("The operator kicked r1-1");
    expect(words).toContain("The operator changed learning rate from 0.03 to 0.02");
    expect(words.at(-1)).toBe("The run ended: it was stopped. The operator ended the run.");
  });
});

describe("A damaged log", () => {
  test("loses the lines that cannot be read, which are counted, and nothing else", () => {
    const at = indexOf("viewed", 10);
    const torn = (LINES[at] ?? "").slice(0, 700);
    const strange = '{"kind":"danced","at":"2026-01-01T00:00:00Z","seconds":3}';
    const damaged = RunReplay.of([
      ...LINES.slice(0, at),
      torn,
      strange,
      "not JSON",
      "",
      "null",
      ...LINES.slice(at + 1),
    ]);
    expect(damaged.malformed).toBe(4);
    expect(damaged.events).toBe(LINES.length - 1);
    expect(damaged.viewAt(damaged.duration)).toEqual(replay.viewAt(replay.duration));
  });

  test("shows the view before one that is JSON and yet no view", () => {
    const at = indexOf("viewed", 10);
    const wrong = JSON.stringify({ ...eventOf("viewed", 10), view: { run: "other" } });
    const damaged = RunReplay.of([...LINES.slice(0, at), wrong, ...LINES.slice(at + 1)]);
    expect(damaged.malformed).toBe(0);
    expect(damaged.viewAfter(at)?.samples).toBe(replay.viewAfter(at - 1)?.samples);
    expect(damaged.malformed).toBe(1);
    // It is not tried again.
    damaged.viewAfter(at);
    expect(damaged.malformed).toBe(1);
  });

  test("without a beginning shows nothing", () => {
    const headless = RunReplay.of(LINES.slice(1, indexOf("began", 1)));
    expect(headless.settings).toBeUndefined();
    expect(headless.viewAt(3)).toBeUndefined();
    expect(headless.malformed).toBe(indexOf("began", 1) - 1);
    expect(RunReplay.of([]).viewAt(0)).toBeUndefined();
  });
});

test("Curves without views are those of the whole replay, and the newest view is kept", () => {
  const curves = RunReplay.of(LINES, { keepsViews: false });
  expect(curves.viewAt(Infinity)).toEqual(replay.viewAt(Infinity));
});

test("A log of 100,000 events is read once and then shown at any moment without going through it again", () => {
  const long = new RunReplay();
  const beginning = LINES.slice(0, indexOf("began", 1));
  const period = (EVENTS[beginning.length - 1]?.seconds ?? 0) + 1;
  long.add(beginning[0] ?? "");
  for (let round = 0; long.events < 100_000; round++) {
    for (const line of beginning.slice(1)) {
      const event = JSON.parse(line) as RunEvent;
      long.add(line.replace(`"seconds":${event.seconds}`, `"seconds":${event.seconds + round * period}`));
    }
  }
  expect(long.malformed).toBe(0);
  const random = new Random(5);
  const oneMs = medianMs(() => replay.viewAt(random.uniform() * replay.duration));
  const longMs = medianMs(() => long.viewAt(random.uniform() * long.duration));
  // A thousand times as many events: a linear search would show; what grows is the history that a view has to hold.
  expect(longMs).toBeLessThan(Math.max(20 * oneMs, 20));
});

function medianMs(work: () => void): number {
  const times = Array.from({ length: 31 }, () => {
    const startMs = performance.now();
    work();
    return performance.now() - startMs;
  });
  return times.toSorted((a, b) => a - b)[15] ?? 0;
}
