/**
 * `drove status`: a look at a running coordinator, from anywhere that reaches it. Everybody sees the run's numbers; whoever has the
 * operator's token sees every replica too.
 */

import type { Command } from "commander";
import type { PublicView, RunView } from "../../shared/run_view.ts";
import { askCoordinator, TokenError, TRUST_FLAG } from "./coordinator_api.ts";
import { EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { foundToken, namedToken, TOKEN_FILE_FLAG, TOKEN_FLAG, type TokenOptions } from "./operator_access.ts";
import { JSON_FLAG, megabytes, Output, percent, thousands } from "./output.ts";
import { addRunFileFlag, placeOfRun, runUrl, type PlaceOptions } from "./run_file.ts";

interface StatusOptions extends PlaceOptions, TokenOptions {
  readonly json?: boolean;
  readonly trust?: string;
}

type Seen = RunView | PublicView;

export function addStatus(program: Command, done: (exitCode: ExitCode) => void): void {
  const command = program
    .command("status")
    .description("shows how a running coordinator is doing")
    .argument("[URL]", "the run's link, such as http://127.0.0.1:8080; the run file's where left out");
  addRunFileFlag(command)
    .option("--runs-folder <FOLDER>", "where this machine's runs are kept, and with them their operators' tokens")
    .option(...TOKEN_FLAG)
    .option(...TOKEN_FILE_FLAG)
    .option(...TRUST_FLAG)
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      "\nExample:\n  drove status http://127.0.0.1:8080\n  drove status https://192.168.1.7:8080 --trust HASH --token-file runs/mine/operator.token\n" +
        EXIT_CODES_HELP,
    )
    .action(async (link: string | undefined, options: StatusOptions) => {
      const view = await seen(link, options);
      new Output(options.json ?? false).result(view, describe(view));
      done(EXIT.ok);
    });
}

/** As much as one may see. */
async function seen(link: string | undefined, options: StatusOptions): Promise<Seen> {
  const { trust } = options;
  const url = await runUrl(link, options);
  const askAll = async (token: string): Promise<RunView> =>
    (await askCoordinator(url, "/api/operator/view", trust, token)) as RunView;
  const named = await namedToken(link, options);
  if (named !== undefined) return askAll(named);
  const view = (await askCoordinator(url, "/api/view", trust)) as PublicView;
  const { runsFolder } = await placeOfRun(options);
  const found = await foundToken(url, view.run, runsFolder);
  if (found === undefined) return view;
  try {
    return await askAll(found);
  } catch (error) {
    // A run of the same name in another folder.
    if (error instanceof TokenError) return view;
    throw error;
  }
}

function describe(view: Seen): string[] {
  const { staleness, hyperparameters, groups } = view;
  return [
    `${view.run}: ${view.state}${view.isPaused ? " (paused)" : ""}, ${view.model} on ${view.data} with ${view.solver}, incarnation ${view.incarnation}`,
    `accuracy ${percent(view.accuracy)} (target ${percent(view.targetAccuracy)}), training loss ${view.trainLoss?.toFixed(4) ?? "-"}`,
    `${thousands(view.seconds)} s, version ${view.version}, ${thousands(view.samples)} samples at ${thousands(view.samplesPerSecond)}/s, ` +
      `${thousands(view.exchanges)} exchanges, ${thousands(view.refused)} refused`,
    epochLine(view),
    `staleness mean ${staleness.mean.toFixed(2)}, median ${staleness.p50}, 99th percentile ${staleness.p99}, maximum ${staleness.max}`,
    `learning rate ${hyperparameters.learningRate}, momentum ${hyperparameters.momentum}, period ${hyperparameters.communicationPeriod}` +
      (groups === null ? "" : `, ${groups} compute groups`),
    wireLine(view),
    ...("replicas" in view ? operatorLines(view) : publicLines(view)),
  ];
}

function operatorLines({ autotune, changes, replicas }: RunView): string[] {
  const chosen = autotune.at(-1);
  const changed = changes.at(-1);
  return [
    ...(chosen ? [`autotune (${chosen.phase}): ${chosen.reason}`] : []),
    ...(changed
      ? [
          `${thousands(changed.seconds)} s: ${changed.by} changed ${changed.setting} from ${changed.from} to ${changed.to}`,
        ]
      : []),
    ...replicas.map(
      (replica) =>
        `  ${replica.id}${replica.name === null ? "" : ` (${replica.name})`} ${replica.connected ? "connected" : "left"}: ${replica.backend} on ${replica.device}, ` +
        `${thousands(replica.samples)} samples at ${thousands(replica.samplesPerSecond)}/s, ${thousands(replica.exchanges)} exchanges, ` +
        `waited ${thousands(replica.heldSeconds)} s, ${replica.transport} (${replica.codecUp} up, ${replica.codecDown} down)` +
        (replica.sliceLossRate === 0 ? "" : `, ${percent(replica.sliceLossRate)} of its slices lost`) +
        (replica.group === null ? "" : `, group ${replica.group}: ${replica.batchShare} samples a step`) +
        (replica.isDraining ? ", asked to leave" : ""),
    ),
  ];
}

function publicLines({ connected, left, leaderboard }: PublicView): string[] {
  return [
    `${connected} ${connected === 1 ? "replica" : "replicas"} connected, ${left} left; with the operator's token (--token) each of them is shown`,
    ...leaderboard.map(({ name, samples, share }) => `  ${name}: ${thousands(samples)} samples, ${percent(share)}`),
  ];
}

function epochLine({ epoch: { epoch, examples, used, leased } }: Seen): string {
  return `epoch ${epoch}: ${thousands(used)} of ${thousands(examples)} examples used, ${thousands(leased)} given to replicas`;
}

/** How much travelled, and how. */
function wireLine({ codecs, fragments, bytesUp, bytesDown, slices, lossRate }: Seen): string {
  return (
    `${megabytes(bytesUp)} up in ${codecs.up}, ${megabytes(bytesDown)} down in ${codecs.down}` +
    (fragments === 1 ? "" : `, ${fragments} fragments in turn`) +
    (slices === 0 ? "" : `, ${percent(lossRate)} of ${thousands(slices)} slices lost`)
  );
}
