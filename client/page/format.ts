/** Numbers as people read them, always with their unit; an unknown number is a dash. The pages are in English. */

const NONE = "–";

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** As many figures as an axis has room for. */
const MOST_SPELT_OUT = 1e4;

export function whole(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : grouped.format(value);
}

/** 1,234 as it is, 1.23M from a million on. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) < 1e6 ? grouped.format(value) : compact.format(value);
}

export function decimal(value: number | null | undefined, digits: number): string {
  return value === null || value === undefined || !Number.isFinite(value) ? NONE : value.toFixed(digits);
}

/** A setting as people write it, up to three digits: "0.03", "-0.3", "1e-7". */
export function figure(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** 0.9812 is "98.12 %" with two digits. */
export function percent(ratio: number | null | undefined, digits = 1): string {
  return ratio === null || ratio === undefined ? NONE : `${(ratio * 100).toFixed(digits)} %`;
}

/** A loss keeps about three digits over the range that training goes through. */
export function loss(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  // One that diverges grows without bound, and is to be seen to.
  if (value >= MOST_SPELT_OUT) return compact.format(value);
  return value.toFixed(value < 1 ? 3 : 2);
}

export function bytes(count: number): string {
  if (count < 1000) return `${grouped.format(count)} B`;
  if (count < 1e6) return `${threeDigits(count / 1e3)} kB`;
  if (count < 1e9) return `${threeDigits(count / 1e6)} MB`;
  return `${threeDigits(count / 1e9)} GB`;
}

function threeDigits(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** "42 s", "3 min 07 s", "2 h 05 min". */
export function duration(seconds: number): string {
  const rest = Math.floor(seconds);
  if (rest < 60) return `${rest} s`;
  if (rest < 3600) return `${Math.floor(rest / 60)} min ${String(rest % 60).padStart(2, "0")} s`;
  return `${Math.floor(rest / 3600)} h ${String(Math.floor((rest % 3600) / 60)).padStart(2, "0")} min`;
}

/** A time on an axis, short: "40 s", "1:20", "2 h 05". */
export function clock(seconds: number): string {
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const rest = Math.round(seconds);
  if (rest < 3600) return `${Math.floor(rest / 60)}:${String(rest % 60).padStart(2, "0")}`;
  return `${Math.floor(rest / 3600)} h ${String(Math.floor((rest % 3600) / 60)).padStart(2, "0")}`;
}

/** A value on an axis, with as many digits as it has. */
export function tick(value: number): string {
  if (Math.abs(value) >= MOST_SPELT_OUT) return compact.format(value);
  return String(Number(value.toFixed(4)));
}

export function percentTick(ratio: number): string {
  return `${tick(ratio * 100)} %`;
}

/** "1 replica", "2 replicas". */
export function counted(count: number, one: string, many: string): string {
  return `${whole(count)} ${count === 1 ? one : many}`;
}
