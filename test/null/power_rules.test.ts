/** The volunteer's rules of power, as functions: what the machine is like and what was allowed give whether and how much is computed. */

import { expect, test } from "vitest";
import { CalmPressure } from "../../client/page/power/calm_pressure.ts";
import { DataMeter } from "../../client/page/power/data_meter.ts";
import {
  decide,
  isWithin,
  minuteOfTime,
  timeOfMinute,
  type MachineState,
  type PowerRules,
} from "../../client/page/power/rules.ts";
import { reasonsInWords, whenItGoesOn } from "../../client/page/power/words.ts";

const RULES: PowerRules = {
  dutyCycle: 0.8,
  pausesOnBattery: true,
  easesUnderPressure: true,
  hours: { fromMinute: 20 * 60, toMinute: 7 * 60 },
  capBytes: 1e9,
};
const CALM: MachineState = { isOnBattery: false, pressure: "nominal", minuteOfDay: 22 * 60, usedBytes: 0 };

test("Nothing holds it up on a calm machine within the hours, and the duty cycle is the volunteer's", () => {
  expect(decide(RULES, CALM)).toEqual({
    pauses: [],
    dutyCycle: 0.8,
    isEased: false,
    isCapReached: false,
    opensInMinutes: undefined,
  });
});

test("Reasons to pause add up, and each one goes away with its rule", () => {
  const worst: MachineState = { isOnBattery: true, pressure: "critical", minuteOfDay: 12 * 60, usedBytes: 0 };
  expect(decide(RULES, worst).pauses).toEqual(["battery", "pressure", "hours"]);
  expect(decide(RULES, worst).opensInMinutes).toBe(8 * 60);
  expect(decide({ ...RULES, pausesOnBattery: false }, worst).pauses).toEqual(["pressure", "hours"]);
  expect(decide({ ...RULES, easesUnderPressure: false }, worst).pauses).toEqual(["battery", "hours"]);
  expect(decide({ ...RULES, hours: undefined }, worst).pauses).toEqual(["battery", "pressure"]);
});

test("Serious pressure halves the duty cycle, but never below a tenth", () => {
  const busy: MachineState = { ...CALM, pressure: "serious" };
  expect(decide(RULES, busy)).toMatchObject({ dutyCycle: 0.4, isEased: true, pauses: [] });
  expect(decide({ ...RULES, dutyCycle: 0.15 }, busy).dutyCycle).toBe(0.1);
  expect(decide(RULES, { ...CALM, pressure: "fair" }).dutyCycle).toBe(0.8);
});

test("The data cap is reached with its last byte, and never without a cap", () => {
  expect(decide(RULES, { ...CALM, usedBytes: 1e9 - 1 }).isCapReached).toBe(false);
  expect(decide(RULES, { ...CALM, usedBytes: 1e9 }).isCapReached).toBe(true);
  expect(decide({ ...RULES, capBytes: undefined }, { ...CALM, usedBytes: 1e12 }).isCapReached).toBe(false);
});

test("Hours span midnight, hold from their first minute and end before their last, and equal ends are the whole day", () => {
  const night = { fromMinute: 20 * 60, toMinute: 7 * 60 };
  expect([20 * 60 - 1, 20 * 60, 0, 7 * 60 - 1, 7 * 60].map((minute) => isWithin(night, minute))).toEqual([
    false,
    true,
    true,
    true,
    false,
  ]);
  expect(isWithin({ fromMinute: 60, toMinute: 120 }, 119)).toBe(true);
  expect(isWithin({ fromMinute: 60, toMinute: 120 }, 120)).toBe(false);
  expect(isWithin({ fromMinute: 60, toMinute: 60 }, 1000)).toBe(true);
});

test("Times of day are read as an input has them, and nothing else is", () => {
  expect(minuteOfTime("22:05")).toBe(1325);
  expect(minuteOfTime("00:00:30")).toBe(0);
  expect(timeOfMinute(425)).toBe("07:05");
  for (const wrong of ["", "24:00", "7:00", "12:60", "noon"]) expect(minuteOfTime(wrong)).toBeUndefined();
});

test("Words name every reason, when the hours begin, and that the volunteer's own pause stays", () => {
  const decision = decide(RULES, { ...CALM, isOnBattery: true, minuteOfDay: 18 * 60 + 40 });
  expect(reasonsInWords(decision.pauses)).toBe("on battery and outside your hours");
  const words = whenItGoesOn(decision, RULES.hours, true);
  expect(words).toContain("plugged in");
  expect(words).toContain("begin at 20:00, in 1 h 20 min");
  expect(words).toContain("press Resume");
  expect(whenItGoesOn(decide(RULES, CALM), RULES.hours, true)).toBe("");
});

test("Pressure is believed at once when it rises, and falls a step at a time after a while of calm", () => {
  const pressure = new CalmPressure();
  pressure.report("critical", 1000);
  expect(pressure.at(1000)).toBe("critical");
  pressure.report("nominal", 2000);
  expect(pressure.at(16_000)).toBe("critical");
  expect(pressure.at(17_000)).toBe("serious");
  expect(pressure.at(32_000)).toBe("fair");
  pressure.report("serious", 33_000);
  expect(pressure.at(33_000)).toBe("serious");
  pressure.report("nominal", 34_000);
  pressure.report("fair", 40_000);
  expect(pressure.at(49_000)).toBe("fair");
  expect(pressure.at(1e6)).toBe("fair");
});

test("The data meter adds up its sources, takes a lower total for a new beginning, and a new day empties the day alone", () => {
  const meter = new DataMeter("1", 500);
  meter.take("training", 100, "1");
  meter.take("feed", 10, "1");
  meter.take("training", 150, "1");
  expect([meter.visitBytes, meter.dayBytes]).toEqual([160, 660]);
  meter.take("training", 20, "1");
  expect([meter.visitBytes, meter.dayBytes]).toEqual([180, 680]);
  meter.take("training", 25, "2");
  expect([meter.visitBytes, meter.dayBytes]).toEqual([185, 5]);
  meter.take("training", Number.NaN, "2");
  expect(meter.visitBytes).toBe(185);
});
