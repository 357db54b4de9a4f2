/** What is measured of the volunteer's page: the way to the first step, long tasks, the end, the duty cycle, and its weight. */

import { setTimeout as sleep } from "node:timers/promises";
import { busyMs, DeviceMeter } from "./device_meter.ts";
import { nowMs, type Report, type Stage, type Visit } from "./stage.ts";

/** Milliseconds from opening the link. */
export interface FirstStep {
  /** Until Start was pressed: the page asks what is trained, and shows it. */
  readonly startMs: number;
  /** Until the first local step was done. */
  readonly totalMs: number;
  /** The same without measuring the backends. */
  readonly withoutMeasuringMs: number;
}

interface LongTasks {
  /** Before Start: loading the page. */
  readonly loading: readonly number[];
  readonly training: readonly number[];
  readonly trainedMs: number;
}

interface DutyRow {
  readonly asked: number;
  /** Of the time in which it computes at full power. */
  readonly computed: number;
  /** Local steps, likewise. */
  readonly steps: number;
}

export interface Session {
  readonly longTasks: LongTasks;
  readonly duty: readonly DutyRow[];
  /** From the press of Stop until the page says so, and until nothing computes any more. */
  readonly stopShownMs: number;
  readonly stopIdleMs: number;
}

const SHARES = [0.75, 0.5, 0.25] as const;
/** Until a new share holds: what is owed is settled. */
const SETTLE_MS = 1500;
const SAMPLE_MS = 10;
const STOP_WATCHED_MS = 1500;
/** Of one core: below it a device idles. */
const IDLE_SHARE = 0.2;

export async function measureFirstStep(stage: Stage, backend: string): Promise<FirstStep> {
  const visit = await stage.visit({ backend });
  try {
    const { opened, pressed, firstStep } = await begun(visit);
    const startMs = pressed.atMs - opened.atMs;
    const totalMs = startMs + firstStep.afterMs;
    return { startMs, totalMs, withoutMeasuringMs: totalMs - firstStep.measuringMs };
  } finally {
    await visit.close();
  }
}

/** One visit from Start to Stop, at several powers. */
export async function measureSession(stage: Stage, backend: string, trainMs: number): Promise<Session> {
  const visit = await stage.visit({ backend, threads: "1" });
  try {
    const { pressed } = await begun(visit);
    // All shards have come, and the charts are there.
    await sleep(SETTLE_MS);
    const meter = new DeviceMeter(visit.group);
    const full = await rateOf(visit, meter, trainMs);
    const duty: DutyRow[] = [];
    for (const asked of SHARES) {
      visit.set("#power", String(100 * asked));
      await sleep(SETTLE_MS);
      const limited = await rateOf(visit, meter, trainMs);
      duty.push({ asked, computed: limited.computing / full.computing, steps: limited.steps / full.steps });
    }
    visit.set("#power", "100");
    await sleep(SETTLE_MS);
    const stop = await measureStop(visit, meter);
    const tasks = visit.reports.filter(({ kind }) => kind === "long-task");
    return {
      longTasks: {
        loading: tasks.filter(({ atMs }) => atMs < pressed.atMs).map(lasted),
        training: tasks.filter(({ atMs }) => atMs >= pressed.atMs).map(lasted),
        trainedMs: nowMs() - pressed.atMs,
      },
      duty,
      ...stop,
    };
  } finally {
    await visit.close();
  }
}

function lasted({ durationMs = 0 }: Report): number {
  return Math.round(durationMs);
}

interface Begun {
  readonly opened: Report;
  /** The worker is started. */
  readonly pressed: Report;
  readonly firstStep: NonNullable<Report["firstStep"]>;
}

async function begun(visit: Visit): Promise<Begun> {
  const opened = await visit.until("it is opened", ({ kind }) => kind === "opened");
  // As a person does: whoever asks for it in the link has no rules of power.
  await visit.until("Start can be pressed", ({ kind }) => kind === "startable");
  visit.press("#start");
  const pressed = await visit.until("Start is pressed", ({ kind }) => kind === "worker");
  const { firstStep } = await visit.until("the first local step", (report) => report.firstStep !== undefined);
  if (!firstStep) throw new Error("invariant violation: a report was found for what it lacks");
  return { opened, pressed, firstStep };
}

/** Of a stretch of time: threads that compute, and local steps a second. */
async function rateOf(visit: Visit, meter: DeviceMeter, forMs: number): Promise<{ computing: number; steps: number }> {
  const steps = (): number => visit.reports.findLast(({ kind }) => kind === "progress")?.localSteps ?? 0;
  const begunAtMs = nowMs();
  const before = meter.read();
  const stepsBefore = steps();
  await sleep(forMs);
  const tookMs = nowMs() - begunAtMs;
  const computing = busyMs(before, meter.read()) / tookMs;
  return { computing, steps: ((steps() - stepsBefore) * 1000) / tookMs };
}

async function measureStop(visit: Visit, meter: DeviceMeter): Promise<{ stopShownMs: number; stopIdleMs: number }> {
  const knows = visit.reports.length;
  visit.press("#stop");
  let before = meter.read();
  let beforeMs = nowMs();
  let busyUntilMs = beforeMs;
  const endMs = beforeMs + STOP_WATCHED_MS;
  while (nowMs() < endMs) {
    await sleep(SAMPLE_MS);
    const after = meter.read();
    const afterMs = nowMs();
    if (busyMs(before, after) / (afterMs - beforeMs) > IDLE_SHARE) busyUntilMs = afterMs;
    before = after;
    beforeMs = afterMs;
  }
  const news = visit.reports.slice(knows);
  const pressed = news.find(({ kind }) => kind === "pressed");
  const shown = news.find(({ kind, phase }) => kind === "shown" && phase === "stopped");
  if (!pressed || !shown) throw new Error("The page did not stop.");
  return { stopShownMs: shown.atMs - pressed.atMs, stopIdleMs: Math.max(0, busyUntilMs - pressed.atMs) };
}
