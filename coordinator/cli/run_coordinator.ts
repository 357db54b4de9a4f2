/**
 * What `serve` and `train` do alike: start a coordinator, say where it is, show how it goes, end it for one of four
 * reasons (target, time, a signal, no volunteers left), and report.
 */

import { collectBuffersSeldom } from "../buffer_collection.ts";
import { ConfigError, modelOf, type RunConfig } from "../run_config.ts";
import type { RunResult } from "../run_result.ts";
import { isLoopback } from "../server/addresses.ts";
import type { OwnEnd, Service } from "../running_service.ts";
import { startService } from "../service.ts";
import { configFrom, type ConfigOptions } from "./config_flags.ts";
import { describeFailure, EXIT, type ExitCode } from "./exit_codes.ts";
import { LocalVolunteers } from "./local_volunteers.ts";
import { Output, percent, thousands } from "./output.ts";
import { CLIENT_FOLDER, dataRoot } from "./places.ts";
import { startProgress } from "./progress.ts";
import { readRunFile } from "./run_file.ts";

export type RunOptions = ConfigOptions & {
  readonly json?: boolean;
  readonly resume?: boolean;
  /** Local volunteers without a browser. */
  readonly node?: boolean;
};

interface End {
  readonly reason: string;
  /** True where the run ended for want of something, not because it was meant to. */
  readonly isFailure: boolean;
}

const VIEW_INTERVAL_MS = 500;

export async function runCoordinator(options: RunOptions, defaults: Partial<RunConfig>): Promise<ExitCode> {
  const output = new Output(options.json ?? false);
  collectBuffersSeldom();
  const config = await resumableConfig(options, defaults);
  const service = await startService(config, {
    clientFolder: CLIENT_FOLDER,
    dataRoot: dataRoot(config.runsFolder),
    resume: options.resume ?? false,
    measuresCurvature: true,
    onFailure: (error) => output.note(describeFailure(error)),
    onNote: (sentence) => output.note(sentence),
  });
  announce(service, config, output);
  const volunteers =
    config.volunteers === 0
      ? undefined
      : new LocalVolunteers({
          url: service.url,
          count: config.volunteers,
          backend: config.backend,
          node: options.node ?? false,
          // Whoever asks for it by the run's settings asks on their own machine.
          allowsPeers: config.peers,
          trust: config.tls === "self-signed" ? service.keyHash : undefined,
          onLine: (line) => output.note(`volunteers: ${line}`),
        });
  const progress = startProgress(config.maxMinutes === null ? null : 60 * config.maxMinutes);
  const timer = setInterval(() => progress.update(service.run.view()), VIEW_INTERVAL_MS);
  const end = await firstEnd(service, volunteers, config);
  clearInterval(timer);
  progress.update(service.run.view());
  progress.stop();
  const result = await service.close(end.reason);
  await volunteers?.stop();
  output.result(result, report(result, service.folder.resultPath));
  const missed = config.targetAccuracy !== null && result.state !== "reached";
  return missed || end.isFailure ? EXIT.failed : EXIT.ok;
}

/** A resumed run goes on with the config that it was started with, unless another is named; flags win over both. */
async function resumableConfig(options: RunOptions, defaults: Partial<RunConfig>): Promise<RunConfig> {
  if (!options.resume || options.config !== undefined) return configFrom(options, defaults);
  const { name, runsFolder } = await configFrom(options, defaults);
  if (name === null) throw new ConfigError("--resume goes on with a run of yours; say which with --name.");
  const file = `${runsFolder}/${name}/run.json`;
  const isThere = await readRunFile(file).then(
    () => true,
    () => false,
  );
  return configFrom(isThere ? { ...options, config: file } : options, defaults);
}

function announce(service: Service, config: RunConfig, output: Output): void {
  output.say(
    `The run "${service.folder.name}" is open: ${modelOf(config).name} on ${config.data} with ${config.solver}.`,
  );
  for (const link of service.links) output.say(`  Volunteers open  ${link}`);
  output.say(`  You watch it at  ${service.operatorLink}`);
  output.say("  Keep that one to yourself: whoever has it controls the run.");
  if (!isLoopback(config.host) && config.tls === null) {
    output.say(
      "  On other machines browsers give WebGPU to https pages only: add --tls-self-signed, or volunteers there compute with WASM.",
    );
  }
  if (config.tls === "self-signed") {
    output.say("  The certificate is made by this coordinator; browsers ask once whether to trust it.");
    output.say(`  From a command line: drove join ${service.links[1] ?? service.url} --trust ${service.keyHash}`);
  }
}

/** Waits for the first thing that ends the run. */
function firstEnd(service: Service, volunteers: LocalVolunteers | undefined, config: RunConfig): Promise<End> {
  const target = percent(config.targetAccuracy);
  const reasons = {
    target: `The target of ${target} is reached.`,
    time: `The time of ${config.maxMinutes} minutes is over.`,
    operator: "The operator ended the run.",
  } as const satisfies Record<OwnEnd, string>;
  const byItself = service.ended.then((why): End => ({ reason: reasons[why], isFailure: false }));
  const bySignal = new Promise<End>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => resolve({ reason: `The coordinator was stopped (${signal}).`, isFailure: false }));
    }
  });
  const ways = [byItself, bySignal];
  if (volunteers) ways.push(withoutVolunteers(service, volunteers));
  return Promise.race(ways);
}

/** Local volunteers that fail end the run unless others train on. */
async function withoutVolunteers(service: Service, volunteers: LocalVolunteers): Promise<End> {
  const how = await volunteers.lost;
  while (service.run.view().replicas.some(({ connected }) => connected)) {
    await new Promise((resolve) => setTimeout(resolve, VIEW_INTERVAL_MS));
  }
  if (service.run.orders.isDraining) return { reason: "Everybody has left, as the operator asked.", isFailure: false };
  const reason = `The local volunteers are gone (${how}) and nobody else trains; \`drove doctor\` says what this machine lacks.`;
  return { reason, isFailure: true };
}

function report(result: RunResult, path: string): string[] {
  const { accuracy, testImages, seconds, samples, exchanges, staleness, replicas } = result;
  const tested =
    accuracy === null
      ? "nothing was tested"
      : `${percent(accuracy)} of all ${thousands(testImages)} test images are right`;
  return [
    result.reason,
    `After ${seconds.toFixed(1)} s: ${tested}; ${thousands(samples)} samples by ${replicas.length} replicas in ${thousands(exchanges)} exchanges, mean staleness ${staleness.mean.toFixed(2)}.`,
    `The model is in ${result.checkpoint}, the result in ${path}.`,
  ];
}
