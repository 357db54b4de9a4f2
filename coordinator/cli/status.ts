/** `drove status URL`: a look at a running coordinator, from anywhere that reaches it. */

import type { Command } from "commander";
import type { RunView } from "../../shared/run_view.ts";
import { askCoordinator, coordinatorUrl, TRUST_FLAG } from "./coordinator_api.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, megabytes, Output, percent, thousands } from "./output.ts";

interface StatusOptions {
  readonly json?: boolean;
  readonly trust?: string;
}

export function addStatus(program: Command, done: (exitCode: ExitCode) => void): void {
  program
    .command("status")
    .description("shows how a running coordinator is doing")
    .argument("<URL>", "the run's link, such as http://127.0.0.1:8080")
    .option(...TRUST_FLAG)
    .option(...JSON_FLAG)
    .addHelpText("after", `\nExample:\n  drove status http://127.0.0.1:8080\n${EXIT_CODES_HELP}`)
    .action(async (url: string, options: StatusOptions) => {
      const view = (await askCoordinator(coordinatorUrl(url), "/api/view", options.trust)) as RunView;
      new Output(options.json ?? false).result(view, describe(view));
      done(EXIT.ok);
    });
}

function describe(view: RunView): string[] {
  const { staleness, hyperparameters, groups } = view;
  const chosen = view.autotune.at(-1);
  return [
    `${view.run}: ${view.state}, ${view.model} on ${view.data} with ${view.solver}, incarnation ${view.incarnation}`,
    `accuracy ${percent(view.accuracy)} (target ${percent(view.targetAccuracy)}), training loss ${view.trainLoss?.toFixed(4) ?? "-"}`,
    `${thousands(view.seconds)} s, version ${view.version}, ${thousands(view.samples)} samples at ${thousands(view.samplesPerSecond)}/s, ` +
      `${thousands(view.exchanges)} exchanges, ${thousands(view.refused)} refused`,
    `staleness mean ${staleness.mean.toFixed(2)}, median ${staleness.p50}, 99th percentile ${staleness.p99}, maximum ${staleness.max}`,
    `learning rate ${hyperparameters.learningRate}, momentum ${hyperparameters.momentum}, period ${hyperparameters.communicationPeriod}` +
      (groups === null ? "" : `, ${groups} compute groups`),
    wireLine(view),
    ...(chosen ? [`autotune (${chosen.phase}): ${chosen.reason}`] : []),
    ...view.replicas.map(
      (replica) =>
        `  ${replica.id} ${replica.connected ? "connected" : "left"}: ${replica.backend} on ${replica.device}, ` +
        `${thousands(replica.samples)} samples at ${thousands(replica.samplesPerSecond)}/s, ${thousands(replica.exchanges)} exchanges, ` +
        `waited ${thousands(replica.heldSeconds)} s, ${replica.transport} (${replica.codecUp} up, ${replica.codecDown} down)` +
        (replica.sliceLossRate === 0 ? "" : `, ${percent(replica.sliceLossRate)} of its slices lost`) +
        (replica.group === null ? "" : `, group ${replica.group}: ${replica.batchShare} samples a step`),
    ),
  ];
}

/** How much travelled, and how. */
function wireLine({ codecs, fragments, bytesUp, bytesDown, slices, lossRate }: RunView): string {
  return (
    `${megabytes(bytesUp)} up in ${codecs.up}, ${megabytes(bytesDown)} down in ${codecs.down}` +
    (fragments === 1 ? "" : `, ${fragments} fragments in turn`) +
    (slices === 0 ? "" : `, ${percent(lossRate)} of ${thousands(slices)} slices lost`)
  );
}
