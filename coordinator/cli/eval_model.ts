/** What `drove eval` does: a run's center, or an exported model, answers a test set, and is judged class by class. */

import { readFile } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Dataset } from "../data/dataset.ts";
import { loadDataset } from "../data/library.ts";
import { answerOf, Confusion, lossOf } from "../evaluation/confusion.ts";
import { Logits } from "../evaluation/logits.ts";
import { normalisationOf, openRun } from "../export/run_source.ts";
import { readModelFile, type ModelFile } from "../export/safetensors.ts";
import { ConfigError } from "../run_config.ts";
import { elementsOf } from "../../shared/model/model.ts";
import { startCount } from "./count_progress.ts";
import type { EvalOptions } from "./eval.ts";
import { evaluationLines } from "./eval_words.ts";
import { CommandError } from "./exit_codes.ts";
import { runFolderOf } from "./export_source.ts";
import { Output } from "./output.ts";
import { dataRoot } from "./places.ts";
import { placeOfRun } from "./run_file.ts";

interface Subject extends Omit<ModelFile, "metadata"> {
  /** For people. */
  readonly what: string;
  /** On which it is evaluated if nobody says anything. */
  readonly data: string | undefined;
}

/** Images at a time: enough for full speed, few enough for a progress bar, and for memory where images are large. */
const MOST_AT_ONCE = 100;
const VALUES_AT_ONCE = 4_000_000;

/** `model`: a run's name or a file, undefined for the newest run. */
export async function evaluateModel(model: string | undefined, options: EvalOptions): Promise<void> {
  const { runsFolder } = await placeOfRun(options);
  const subject = await subjectOf(model, options, dataRoot(runsFolder));
  const data = options.data ?? subject.data;
  if (data === undefined) throw new ConfigError("Which data shall it be evaluated on? Name it with --data.");
  const dataset = await loadDataset(dataRoot(runsFolder), data);
  requireFit(subject, dataset);
  const { confusion, meanLoss } = await evaluated(subject, dataset);
  const evaluation = { ...subject, classNames: dataset.classNames, data, confusion, meanLoss };
  const { images, correct, accuracy } = confusion;
  new Output(options.json ?? false).result(
    {
      what: subject.what,
      model: subject.model.name,
      data,
      images,
      correct,
      accuracy,
      meanLoss,
      classNames: dataset.classNames ?? null,
      classes: confusion.scores(),
      confusion: confusion.rows(),
      worst: confusion.worst(10),
    },
    evaluationLines(evaluation),
  );
}

async function subjectOf(model: string | undefined, options: EvalOptions, root: string): Promise<Subject> {
  if (model !== undefined && /[/\\]|\.(safetensors|onnx)$/.test(model)) return subjectOfFile(model);
  const { folder, name } = await runFolderOf(model, options);
  const run = await openRun(folder);
  return {
    what: `${name}, version ${run.center.version}`,
    data: run.config.data,
    model: run.model,
    parameters: run.center.parameters,
    normalisation: await normalisationOf(run, root),
  };
}

async function subjectOfFile(path: string): Promise<Subject> {
  if (!path.endsWith(".safetensors")) {
    throw new ConfigError(
      `${path} is neither a run's name nor a .safetensors file; make one with: drove export --format safetensors`,
    );
  }
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(
      `${path} cannot be read (${error.code}); pass a run's name, or a file from: drove export --format safetensors`,
    );
  });
  const { metadata, ...file } = readModelFile(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), path);
  return { ...file, what: path, data: metadata["data"] };
}

function requireFit({ model, what }: Subject, { name, shape, classes }: Dataset): void {
  const { height, width, channels } = model.input;
  const isFit = height === shape.height && width === shape.width && channels === shape.channels;
  if (isFit && classes <= model.classes) return;
  throw new ConfigError(
    `--data ${name} has images of ${shape.height}x${shape.width}x${shape.channels} in ${classes} classes, but ${what} takes ` +
      `${height}x${width}x${channels} in up to ${model.classes}; name data that fit.`,
  );
}

async function evaluated(
  { model, normalisation, parameters }: Subject,
  { test }: Dataset,
): Promise<{ readonly confusion: Confusion; readonly meanLoss: number }> {
  const imageBytes = elementsOf(model.input);
  const batch = Math.min(test.count, MOST_AT_ONCE, Math.max(1, Math.floor(VALUES_AT_ONCE / imageBytes)));
  const logits = await Logits.open({ model, normalisation, parameters, batch });
  const progress = startCount("test images");
  const confusion = new Confusion(model.classes);
  const loss = model.loss ?? "softmax-cross-entropy";
  let lossSum = 0;
  try {
    for (let first = 0; first < test.count; first += batch) {
      const end = Math.min(first + batch, test.count);
      const outputs = logits.of(test.images.subarray(first * imageBytes, end * imageBytes));
      for (let image = first; image < end; image++) {
        const own = outputs.subarray((image - first) * model.classes, (image - first + 1) * model.classes);
        const label = test.labels[image]!;
        confusion.add(label, answerOf(own));
        lossSum += lossOf(loss, own, label);
      }
      progress.update(end, test.count);
      // A terminal draws between two batches.
      await nextTurn();
    }
  } finally {
    progress.stop();
    logits.close();
  }
  return { confusion, meanLoss: lossSum / test.count };
}
