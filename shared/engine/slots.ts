/**
 * Memory planned once: tensors whose lives do not meet share a slot. First fit over tensors sorted by size, as in the
 * "greedy by size" planner of Pisarchyk and Lee (2020), with whole slots instead of offsets because WebGPU forbids one
 * buffer from being read and written by the same dispatch.
 */

export interface Lifetime {
  readonly elements: number;
  /** Indices of the first and the last operation that touch it. */
  readonly first: number;
  readonly last: number;
}

export interface SlotAssignment {
  /** For each tensor its slot. */
  readonly slotOf: readonly number[];
  readonly slotElements: readonly number[];
}

export function assignSlots(lives: readonly Lifetime[]): SlotAssignment {
  const slotOf = Array.from<number>({ length: lives.length });
  const slots: { elements: number; lives: Lifetime[] }[] = [];
  const bySize = lives.map((life, id) => ({ life, id })).toSorted((a, b) => b.life.elements - a.life.elements);
  for (const { life, id } of bySize) {
    let chosen = slots.findIndex((slot) =>
      slot.lives.every((other) => other.last < life.first || life.last < other.first),
    );
    if (chosen < 0) chosen = slots.push({ elements: life.elements, lives: [] }) - 1;
    slots[chosen]!.lives.push(life);
    slotOf[id] = chosen;
  }
  return { slotOf, slotElements: slots.map((slot) => slot.elements) };
}

/** The most words that are alive during any of `operations` operations. */
export function peakElements(lives: readonly Lifetime[], operations: number): number {
  let peak = 0;
  for (let at = 0; at < operations; at++) {
    let alive = 0;
    for (const { elements, first, last } of lives) if (first <= at && at <= last) alive += elements;
    peak = Math.max(peak, alive);
  }
  return peak;
}
