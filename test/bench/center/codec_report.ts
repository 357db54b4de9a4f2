/**
 * What the codecs cost at the center, as ratios: of a push to the same push in f32, and of decoding and encoding to copying
 * memory. One thread, all variants in every round; the neighbours of a busy machine slow them alike.
 */

import { CODEC_NAMES, type CodecName } from "../../../shared/wire/codec/codec.ts";
import type { Rig } from "./open_rig.ts";
import { CODEC_VARIANTS, type CodecVariant } from "./rig.ts";

interface CodecFigures {
  /** Time of decode, check and elastic apply over that of f32. */
  readonly pushTimeOverF32: number;
  /** Elements/s over those that a copy of f32 moves. */
  readonly pushFractionOfMemcpy: number;
  readonly decodeFractionOfMemcpy: number;
  /** Of the way from the last version to the center, with what receivers make of it; f32 is copied. */
  readonly encodeFractionOfMemcpy: number;
}

export type CodecReport = Readonly<Record<CodecName, CodecFigures>>;

interface CodecEffort {
  readonly roundsAtOnce: number;
  readonly rounds: number;
  readonly timeLimitMs: number;
}

export async function codecReport(rig: Rig, effort: CodecEffort): Promise<CodecReport> {
  const rounds: (readonly number[])[] = [];
  const deadlineMs = performance.now() + effort.timeLimitMs / 4;
  const message = { kind: "rounds", rounds: effort.roundsAtOnce, of: "codecs" } as const;
  await rig.run(message);
  do rounds.push(...(await rig.run(message)));
  while (rounds.length < effort.rounds && performance.now() < deadlineMs);
  const ratio = (one: CodecVariant, other: CodecVariant): number => {
    const [above, below] = [CODEC_VARIANTS.indexOf(one), CODEC_VARIANTS.indexOf(other)];
    return median(rounds.map((timesMs) => timesMs[above]! / timesMs[below]!));
  };
  const figures = CODEC_NAMES.map((codec): [CodecName, CodecFigures] => [
    codec,
    {
      pushTimeOverF32: ratio(`push ${codec}`, "push f32"),
      pushFractionOfMemcpy: ratio("copyOne", `push ${codec}`),
      decodeFractionOfMemcpy: ratio("copyOne", `decode ${codec}`),
      encodeFractionOfMemcpy: codec === "f32" ? 1 : ratio("copyOne", `encode ${codec}`),
    },
  ]);
  return Object.fromEntries(figures) as Record<CodecName, CodecFigures>;
}

export function printCodecs(report: CodecReport, line: (name: string, text: string) => void): void {
  line("codec", "push time over f32's, and elements/s over memcpy's: push, decode, encode");
  for (const codec of CODEC_NAMES) {
    const { pushTimeOverF32, pushFractionOfMemcpy, decodeFractionOfMemcpy, encodeFractionOfMemcpy } = report[codec];
    const figures = [pushTimeOverF32, pushFractionOfMemcpy, decodeFractionOfMemcpy, encodeFractionOfMemcpy];
    line(codec, figures.map((figure) => figure.toFixed(2)).join("   "));
  }
}

function median(values: number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
