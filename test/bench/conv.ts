/**
 * Every way to do a convolution, measured on this device: `drove bench conv [--model lenet | --shape 16x32x32x64-3x64 | --sweep]
 * [--batch N] [--runtime chromium|node] [--quick] [--json]`. For each product of a model's step (or of one shape, all three
 * passes) every candidate with its time, its rate and its share of the adapter's multiply-add peak, in the order in which
 * the cost model puts them; who wins, and whether rule and model would have known. `--sweep` is Caffe con Troll's question:
 * which lowering wins at which ratio of input to output channels. `--quick` measures the model's best four only.
 */

import { parseArgs } from "node:util";
import type { CandidateReport, Job, NamedProduct, ProductReport } from "./kernels/job.ts";
import { machine, number, peaksInWords, percent, run, say, table, UsageError } from "./kernels/print.ts";
import { perform, type Runtime } from "./kernels/stage.ts";
import { productsOf, productsOfShape, sweepOfChannels, workloadNamed } from "./kernels/workloads.ts";

const LIMIT_MS = 60 * 60_000;
const QUICK_LIMIT_MS = 10 * 60_000;
const PIECE_MS = 250;
const QUICK_CANDIDATES = 4;
const SWEEP_BATCH = 16;
const LOWERINGS = ["lowering-1", "lowering-2", "lowering-3"] as const;

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "lenet" },
    shape: { type: "string" },
    sweep: { type: "boolean", default: false },
    batch: { type: "string" },
    runtime: { type: "string", default: "chromium" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

await run(values.sweep ? sweep : compare, values.json);

async function compare(): Promise<object> {
  const runtime = runtimeNamed(values.runtime);
  const job: Job & { kind: "conv" } = {
    kind: "conv",
    products: productsAsked(),
    mostCandidates: values.quick ? QUICK_CANDIDATES : undefined,
    algorithms: undefined,
    pieceMs: PIECE_MS,
  };
  const { peaks, products } = await perform(runtime, job, values.quick ? QUICK_LIMIT_MS : LIMIT_MS);
  say(`\n${peaksInWords(runtime, peaks)}`);
  for (const product of products) say(`\n${wordsOf(product)}\n\n${candidateTable(product.candidates)}`);
  say(`\n${winnersTable(products)}`);
  return {
    bench: "conv",
    runtime,
    ...machine(),
    quick: values.quick,
    peaks,
    products,
    batching: products.map(batching),
  };
}

async function sweep(): Promise<object> {
  const runtime = runtimeNamed(values.runtime);
  const job: Job & { kind: "conv" } = {
    kind: "conv",
    products: sweepOfChannels(batchAsked() ?? SWEEP_BATCH),
    mostCandidates: 1,
    algorithms: ["implicit", "direct", "tiled", "winograd", ...LOWERINGS],
    pieceMs: PIECE_MS,
  };
  const { peaks, products } = await perform(runtime, job, values.quick ? QUICK_LIMIT_MS : LIMIT_MS);
  const rows = products.map(sweepRow);
  say(`\n${peaksInWords(runtime, peaks)}\n`);
  const heads = [
    "channels",
    "ratio",
    "type 1 ms",
    "type 2 ms",
    "type 3 ms",
    "type 1 over 3",
    "best lowering",
    "winner",
    "ms",
  ];
  say(
    table(
      heads,
      rows.map(({ name, ratio, types, oneOverThree, bestLowering, winner, ms }) => [
        name,
        ratio < 1 ? `1/${Math.round(1 / ratio)}` : number(ratio, 0),
        ...types.map((one) => number(one)),
        number(oneOverThree),
        bestLowering ?? "",
        winner ?? "",
        number(ms),
      ]),
    ),
  );
  return { bench: "conv", sweep: rows, runtime, ...machine(), peaks, products };
}

/** Caffe con Troll's figure: type 3's speed over type 1's is type 1's time over type 3's. */
function sweepRow({ name, channelRatio, candidates, winner }: ProductReport): {
  readonly name: string;
  readonly ratio: number;
  readonly types: readonly (number | undefined)[];
  readonly oneOverThree: number | undefined;
  readonly bestLowering: string | undefined;
  readonly winner: string | undefined;
  readonly ms: number | undefined;
} {
  const bestOf = (algorithm: string): number | undefined => {
    const times = candidates.flatMap(({ candidate, ms }) => (candidate.startsWith(`${algorithm} `) ? (ms ?? []) : []));
    return times.length === 0 ? undefined : Math.min(...times);
  };
  const types = LOWERINGS.map(bestOf);
  const [one, , three] = types;
  const known = LOWERINGS.filter((_, at) => types[at] !== undefined);
  const bestLowering = known.toSorted((a, b) => bestOf(a)! - bestOf(b)!)[0];
  const ms = candidates.find(({ candidate }) => candidate === winner)?.ms;
  const oneOverThree = one !== undefined && three !== undefined ? one / three : undefined;
  return { name, ratio: channelRatio, types, oneOverThree, bestLowering, winner, ms };
}

/** Caffe con Troll's batching: the best lowering of type 1 for each number of images lowered at once. */
function batching({ name, candidates }: ProductReport): object {
  const best = new Map<number, number>();
  for (const { candidate, images, ms } of candidates) {
    if (!candidate.startsWith("lowering-1 ") || ms === undefined) continue;
    best.set(images, Math.min(ms, best.get(images) ?? Number.POSITIVE_INFINITY));
  }
  const times = [...best].map(([images, ms]) => ({ images, ms })).toSorted((a, b) => a.images - b.images);
  return { name, lowering: "lowering-1", times };
}

function wordsOf(product: ProductReport): string {
  const { name, product: key, gflop, channelRatio, measuredImages, batch } = product;
  const reduced = measuredImages === batch ? "" : ` Measured over ${measuredImages} of ${batch} images.`;
  return `${name}: ${key}. ${number(gflop, 3)} GFLOP, input over output channels ${number(channelRatio)}.${reduced}`;
}

function candidateTable(candidates: readonly CandidateReport[]): string {
  const heads = ["candidate", "lowered at once", "modelled ms", "ms", "GFLOP/s", "of peak", "compiled in ms"];
  return table(
    heads,
    candidates.map((one) => [
      one.candidate,
      one.candidate.startsWith("lowering") ? String(one.images) : "",
      number(one.modelledMs),
      one.problem ?? number(one.ms),
      number(one.gflops),
      percent(one.percentOfPeak),
      number(one.compileMs, 0),
    ]),
  );
}

function winnersTable(products: readonly ProductReport[]): string {
  const heads = [
    "product",
    "channel ratio",
    "winner",
    "GFLOP/s",
    "of peak",
    "place by the model",
    "over the rule's choice",
  ];
  return table(
    heads,
    products.map(({ name, channelRatio, winner, winnersPlace, gain, candidates }) => {
      const best = candidates.find(({ candidate }) => candidate === winner);
      const numbers = [number(best?.gflops), percent(best?.percentOfPeak), String(winnersPlace ?? "")];
      return [
        name,
        number(channelRatio),
        winner ?? "none",
        ...numbers,
        gain === undefined ? "" : `${number(gain)} times`,
      ];
    }),
  );
}

function productsAsked(): readonly NamedProduct[] {
  if (values.shape !== undefined) {
    const products = productsOfShape(values.shape);
    if (products) return products;
    throw new UsageError(
      `--shape ${values.shape} is no shape; say BATCHxHEIGHTxWIDTHxCHANNELS-KERNELxFILTERS with an odd kernel, such as 16x32x32x64-3x64.`,
    );
  }
  const workload = workloadNamed(values.model, batchAsked());
  if (!workload)
    throw new UsageError(
      `There is no model "${values.model}"; say lenet, cifar-quick, resnet-20 or another of the catalogue.`,
    );
  return productsOf(workload);
}

function batchAsked(): number | undefined {
  if (values.batch === undefined) return undefined;
  const batch = Number(values.batch);
  if (Number.isInteger(batch) && batch > 0) return batch;
  throw new UsageError(`--batch ${values.batch} is no batch; say a whole number above 0.`);
}

function runtimeNamed(name: string): Runtime {
  if (name === "chromium" || name === "node") return name;
  throw new UsageError(`There is no runtime "${name}"; say chromium or node.`);
}
