/**
 * What a volunteer lets the page do, and what the machine is like right now: from both follows whether it computes, and how
 * much. Pure, so that every combination can be tested; `power_panel.ts` shows the rules, `machine_sensors.ts` asks the browser.
 */

/** Minutes of the day, local time; where `from` is later than `to`, the hours span midnight. */
export interface Hours {
  readonly fromMinute: number;
  readonly toMinute: number;
}

export interface PowerRules {
  /** The share of the time in which it may compute, above 0 and up to 1. */
  readonly dutyCycle: number;
  readonly pausesOnBattery: boolean;
  readonly easesUnderPressure: boolean;
  /** Undefined: at any time. */
  readonly hours: Hours | undefined;
  /** Of one day, up and down; undefined: any amount. */
  readonly capBytes: number | undefined;
}

/** As the Compute Pressure API has it. */
export type Pressure = "nominal" | "fair" | "serious" | "critical";

export interface MachineState {
  /** False where the browser does not tell. */
  readonly isOnBattery: boolean;
  /** `nominal` where the browser does not tell. */
  readonly pressure: Pressure;
  readonly minuteOfDay: number;
  /** Today, up and down. */
  readonly usedBytes: number;
}

export type PauseReason = "battery" | "pressure" | "hours";

export interface Decision {
  /** Nothing is computed while there is any; all that hold now, in a fixed order. */
  readonly pauses: readonly PauseReason[];
  /** Above 0 and up to 1. */
  readonly dutyCycle: number;
  /** The duty cycle is lower than the volunteer set it, because the machine is busy. */
  readonly isEased: boolean;
  /** The exchange that is under way is the last one of this day. */
  readonly isCapReached: boolean;
  /** Until the hours begin; undefined where they are not what it waits for. */
  readonly opensInMinutes: number | undefined;
}

const MINUTES_OF_DAY = 24 * 60;
/** Under serious pressure, of the volunteer's own duty cycle. */
const EASED = 0.5;
const LOWEST_DUTY_CYCLE = 0.1;

export function decide(rules: PowerRules, machine: MachineState): Decision {
  const { hours, capBytes } = rules;
  const pressure = rules.easesUnderPressure ? machine.pressure : "nominal";
  const isOpen = hours === undefined || isWithin(hours, machine.minuteOfDay);
  const pauses: PauseReason[] = [];
  if (rules.pausesOnBattery && machine.isOnBattery) pauses.push("battery");
  if (pressure === "critical") pauses.push("pressure");
  if (!isOpen) pauses.push("hours");
  const isEased = pressure === "serious" || pressure === "critical";
  return {
    pauses,
    dutyCycle: isEased ? Math.max(LOWEST_DUTY_CYCLE, rules.dutyCycle * EASED) : rules.dutyCycle,
    isEased,
    isCapReached: capBytes !== undefined && machine.usedBytes >= capBytes,
    opensInMinutes: isOpen ? undefined : minutesUntil(hours.fromMinute, machine.minuteOfDay),
  };
}

/** From the first minute on, and no longer in the last one; equal ends are the whole day. */
export function isWithin({ fromMinute, toMinute }: Hours, minute: number): boolean {
  if (fromMinute === toMinute) return true;
  if (fromMinute < toMinute) return minute >= fromMinute && minute < toMinute;
  return minute >= fromMinute || minute < toMinute;
}

function minutesUntil(minute: number, now: number): number {
  return (minute - now + MINUTES_OF_DAY) % MINUTES_OF_DAY;
}

/** "22:05" as minutes of the day; undefined where it is no such time. */
export function minuteOfTime(text: string): number | undefined {
  const [, hour, minute] = /^(\d{2}):(\d{2})(?::\d{2})?$/.exec(text) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  return Number(hour) < 24 && Number(minute) < 60 ? minutes : undefined;
}

/** 1325 as "22:05". */
export function timeOfMinute(minute: number): string {
  return [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, "0")).join(":");
}
