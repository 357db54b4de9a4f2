/** `drove model`: a model layer by layer, of the catalogue or of one's own, and the kinds of layers that there are. */

import type { Command } from "commander";
import { fieldsOfKind, LAYER_HELP, LAYER_KINDS } from "../../shared/model/layer_words.ts";
import { describeShape } from "../../shared/model/model.ts";
import { summaryOf, type ModelSummary } from "../../shared/model/summary.ts";
import { modelOf } from "../run_config.ts";
import { configFrom } from "./config_flags.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, megabytes, Output, tableLines, thousands } from "./output.ts";
import { addRunFileFlag } from "./run_file.ts";

interface ModelOptions {
  readonly layers?: boolean;
  readonly config?: string;
  readonly json?: boolean;
}

const BYTES_PER_PARAMETER = 4;
const READS_CHARACTERS = 40;

export function addModel(program: Command, done: (exitCode: ExitCode) => void): void {
  const command = program
    .command("model")
    .description("checks a model and shows its layers: shapes, parameters and work")
    .argument("[NAME|FILE]", "of the catalogue, or a model file (default: the run file's model)")
    .option("--layers", "list the kinds of layers that a model file may have, with their fields");
  addRunFileFlag(command)
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove model lenet\n  drove model ./my_model.json\n  drove model --layers\n${EXIT_CODES_HELP}`,
    )
    .action(async (name: string | undefined, options: ModelOptions) => {
      await showModel(name, options);
      done(EXIT.ok);
    });
}

async function showModel(name: string | undefined, options: ModelOptions): Promise<void> {
  const output = new Output(options.json ?? false);
  if (options.layers) {
    output.result({ layers: layersInData() }, layersInWords());
    return;
  }
  const { config } = options;
  const model = modelOf(
    await configFrom({ ...(name === undefined ? {} : { model: name }), ...(config === undefined ? {} : { config }) }),
  );
  const summary = summaryOf(model);
  const { input, classes } = model;
  output.result({ name: model.name, input, classes, ...summary }, [
    `${model.name}: images of ${describeShape(input)}, ${classes} classes, ${thousands(summary.parameters)} parameters ` +
      `(${megabytes(BYTES_PER_PARAMETER * summary.parameters)} in f32), ${thousands(summary.multiplyAdds)} multiply-adds per image, forward`,
    ...tableLines(rowsOf(summary)),
  ]);
}

function rowsOf({ layers }: ModelSummary): string[][] {
  const rows = layers.map(({ name, kind, from, output, parameters, multiplyAdds }, index) => {
    const before = index === 0 ? "input" : layers[index - 1]!.name;
    const isNext = from.length === 1 && from[0] === before;
    const amounts = [parameters, multiplyAdds].map((amount) => (amount === 0 ? "" : thousands(amount)));
    return [`  ${index + 1}`, name, kind, isNext ? "" : shortened(from.join(", ")), describeShape(output), ...amounts];
  });
  return [["  #", "layer", "kind", "reads", "gives", "parameters", "multiply-adds"], ...rows];
}

/** A concat may read dozens. */
function shortened(text: string): string {
  return text.length <= READS_CHARACTERS ? text : `${text.slice(0, READS_CHARACTERS - 1)}…`;
}

function layersInData(): object[] {
  return LAYER_KINDS.map((kind) => ({ kind, fields: fieldsOfKind(kind), help: LAYER_HELP[kind] }));
}

function layersInWords(): string[] {
  const rows = LAYER_KINDS.map((kind) => {
    const fields = fieldsOfKind(kind).map(({ name, isOptional }) => (isOptional ? `[${name}]` : name));
    return [`  ${kind}`, fields.join(" "), LAYER_HELP[kind]];
  });
  return [
    'Every layer has "kind", "name" and, where it reads another one than the layer before it, "from"; fields in [ ] may be left out.',
    ...tableLines(rows),
  ];
}
