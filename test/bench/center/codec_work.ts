/** What the first thread of the center benchmark does in its rounds of codecs: what an applier thread does with a push and a publication. */

import type { CenterLayout } from "../../../coordinator/center/center_memory.ts";
import { codecNumber, type Kernels } from "../../../coordinator/center/kernels.ts";
import { CODEC_NAMES, type CodecName } from "../../../shared/wire/codec/codec.ts";
import type { CodecVariant, CodecVectors } from "./rig.ts";

interface CodecBench {
  readonly kernels: Kernels;
  readonly layout: CenterLayout;
  readonly vectors: CodecVectors;
  readonly nextArea: () => number;
}

const RATE = 0.1;
const LIMIT = 10_000;

export function codecWork(bench: CodecBench): Readonly<Partial<Record<CodecVariant, () => void>>> {
  const { kernels, layout, vectors, nextArea } = bench;
  const { center, elements, paddedElements } = layout;
  const decode = (codec: CodecName, area: number): unknown => {
    if (codec === "f32") return kernels.decode(vectors.base, area, paddedElements, LIMIT);
    return kernels.decodeCoded(codecNumber(codec), vectors.base, vectors.words[codec], area, elements, LIMIT);
  };
  const work: Partial<Record<CodecVariant, () => void>> = {};
  for (const codec of CODEC_NAMES) {
    work[`decode ${codec}`] = () => decode(codec, nextArea());
    work[`push ${codec}`] = () => {
      const area = nextArea();
      decode(codec, area);
      kernels.swapElastic(center, area, paddedElements, RATE);
    };
    if (codec === "f32") continue;
    const number = codecNumber(codec);
    work[`encode ${codec}`] = () => kernels.encode(number, center, vectors.base, nextArea(), vectors.room, elements);
  }
  return work;
}
