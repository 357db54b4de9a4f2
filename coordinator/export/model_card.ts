/**
 * The model card: a README.md as the Hugging Face Hub has them, YAML in front, which says what the model is, what it was trained on, how
 * and by whom, how good it is and what not to expect of it. Names appear where volunteers offered them, and nowhere else.
 */

import { elementsOf } from "../../shared/model/model.ts";
import type { Normalisation } from "../../shared/engine/plan.ts";
import { classCounts, type Dataset } from "../data/dataset.ts";
import { crowdSections } from "./card_crowd.ts";
import { count, percent, quoted, table } from "./card_text.ts";
import { usageSection } from "./card_usage.ts";
import { trainingSection } from "./card_training.ts";
import { textFile, type ExportedFile } from "./formats.ts";
import { judgementOf } from "./judgement.ts";
import { factsOf, type RunFacts } from "./run_facts.ts";
import type { SourceRun } from "./run_source.ts";

export interface CardSource {
  readonly run: SourceRun;
  readonly normalisation: Normalisation;
  /** Where the data are on this machine. */
  readonly dataset: Dataset | undefined;
  /** Of the model's files beside the card, without their endings. */
  readonly fileStem: string;
}

/** As the Hub knows them. */
const HUB_DATASETS: ReadonlyMap<string, string> = new Map([
  ["mnist", "ylecun/mnist"],
  ["fashion-mnist", "zalando-datasets/fashion_mnist"],
  ["cifar10", "uoft-cs/cifar10"],
]);

export async function modelCardOf(source: CardSource): Promise<ExportedFile> {
  const { run } = source;
  const facts = await factsOf(run);
  const sections = [
    frontMatter(run),
    `# ${run.name}\n\n${summary(source, facts)}`,
    `## Results\n\n${results(run)}`,
    `## Data\n\n${dataSection(source)}`,
    trainingSection(run, facts),
    ...crowdSections(facts),
    usageSection(source),
    `## Limits\n\n${limits(source)}`,
  ];
  return textFile("README.md", "text/markdown", `${sections.join("\n\n")}\n`);
}

function frontMatter(run: SourceRun): string {
  const { config, name } = run;
  const data = JSON.stringify(HUB_DATASETS.get(config.data) ?? config.data);
  const judged = judgementOf(run);
  const tags = [
    "collaborative",
    "drove",
    "asynchronous-training",
    "elastic-averaging",
    "onnx",
    "safetensors",
    config.solver,
  ];
  const index = judged && [
    "model-index:",
    `  - name: ${JSON.stringify(name)}`,
    "    results:",
    "      - task:",
    "          type: image-classification",
    "        dataset:",
    `          name: ${JSON.stringify(config.data)}`,
    `          type: ${data}`,
    "          split: test",
    "        metrics:",
    "          - type: accuracy",
    `            value: ${judged.accuracy}`,
    ...(Number.isFinite(judged.testLoss) ? ["          - type: loss", `            value: ${judged.testLoss}`] : []),
  ];
  return [
    "---",
    "# The license is yours to choose: take the comment sign away and name one, such as apache-2.0 or mit.",
    "# license: apache-2.0",
    "language: en",
    "library_name: drove",
    "pipeline_tag: image-classification",
    "tags:",
    ...tags.map((tag) => `  - ${tag}`),
    "datasets:",
    `  - ${data}`,
    "metrics:",
    "  - accuracy",
    ...(index ?? []),
    "---",
  ].join("\n");
}

function summary({ run, dataset }: CardSource, facts: RunFacts): string {
  const { model, layout, config, settings } = run;
  const { height, width, channels } = model.input;
  const title = settings?.data.title ?? dataset?.title;
  const crowd =
    facts.replicas.length === 1
      ? "one replica, with parameters of its own that it"
      : `${count(facts.replicas.length)} replicas together, each with parameters of its own that it`;
  return [
    ...(title === undefined ? [] : [title]),
    `A ${quoted(model.name)} of ${count(layout.parameters)} parameters in ${model.layers.length} layers, for images of ` +
      `${height}x${width}x${channels} in ${model.classes} classes. It was trained with Drove by ${crowd} ` +
      `exchanged with a shared center by ${quoted(config.solver)}: volunteers opened a link in a browser, or ran it without one. This is ` +
      "the center.",
  ].join("\n\n");
}

function results(run: SourceRun): string {
  const judged = judgementOf(run);
  const { center, incarnation, config } = run;
  if (!judged) return "The model was not evaluated.";
  const { accuracy, testLoss, testImages, isOfThisCenter } = judged;
  const rows = [
    ["Accuracy on held-out images", percent(accuracy)],
    ["Mean loss on them", Number.isFinite(testLoss) ? testLoss.toFixed(4) : "-"],
    ["Held-out images looked at", count(testImages)],
    ["Target", config.targetAccuracy === null ? "none" : percent(config.targetAccuracy)],
    ["Version of the center (applied moves)", count(center.version)],
    ["Starts of the coordinator", count(incarnation)],
  ];
  const note = isOfThisCenter
    ? "Measured on these very parameters, by the coordinator, on images that no volunteer trained on."
    : "The run had not ended when this was written: measured by the coordinator shortly before these parameters, on a part of the held-out images.";
  return `${table(["", ""], rows)}\n\n${note}`;
}

function dataSection({ run, normalisation, dataset }: CardSource): string {
  const { settings, config, model } = run;
  const examples =
    settings?.data ?? (dataset && { trainExamples: dataset.train.count, testExamples: dataset.test.count });
  const counted = examples
    ? `: ${count(examples.trainExamples)} images to train on, ${count(examples.testExamples)} held out`
    : "";
  const normalised = model.layers.some(({ kind }) => kind === "embedding")
    ? "Bytes are tokens and go in as they are."
    : `Pixels go in as (x / 255 - mean) / deviation, with the mean ${numbers(normalisation.mean)} and the deviation ${numbers(normalisation.deviation)} of the training images${normalisation.mean.length > 1 ? ", by channel" : ""}.`;
  return [`${quoted(config.data)}${counted}. ${normalised}`, balance(run, dataset)].join("\n\n");
}

function numbers(values: readonly number[]): string {
  return values.map((value) => value.toFixed(6)).join(", ");
}

/** How often each class occurs. */
function balance({ settings }: SourceRun, dataset: Dataset | undefined): string {
  if (!dataset)
    return "How often each class occurs is not known: the data were not at hand when this card was written.";
  const names = settings?.data.classNames ?? dataset.classNames;
  const test = classCounts(dataset.test.labels);
  const rows = classCounts(dataset.train.labels).map((training, label) => [
    String(label),
    names?.[label] === undefined ? "-" : quoted(names[label]),
    `${count(training)} (${percent(training / dataset.train.count)})`,
    count(test[label] ?? 0),
  ]);
  return table(["Class", "Name", "In training", "Held out"], rows);
}

function limits({ run }: CardSource): string {
  const { height, width, channels } = run.model.input;
  return [
    `- It knows the classes above and no others: every image gets one of them, whatever it shows. Shares are not calibrated.`,
    `- It expects images like those of ${quoted(run.config.data)}, ${height}x${width}x${channels}; others have to be brought to that size, and may be answered worse.`,
    "- Many devices took part whose owners nobody checked. The coordinator refuses what is not finite or out of bounds and judges the center by itself, but a contribution that made the model worse in a way that the held-out images do not show would not be noticed.",
    "- The order in which contributions arrived is part of the result: the same settings do not give the same parameters again.",
    elementsOf(run.model.input) < 4096
      ? "- It is small. Take it for learning and for comparisons, not for decisions about people."
      : "- Do not take it for decisions about people.",
  ].join("\n");
}
