/**
 * `drove replay`: a run shown again from its event log, without training: on the operator's page, which this serves, or with `--print` as
 * lines on the terminal.
 */

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { wordsOf } from "../../shared/run_event_words.ts";
import { RunReplay } from "../../shared/run_replay.ts";
import type { RunView } from "../../shared/run_view.ts";
import { listRuns } from "../operator/run_list.ts";
import { operatorTokenOf } from "../operator/token.ts";
import { ConfigError } from "../run_config.ts";
import { isMissing } from "../store/durable_file.ts";
import { runFiles } from "../store/run_folder.ts";
import { CommandError, describeFailure, EXIT, EXIT_CODES_HELP, type ExitCode } from "./exit_codes.ts";
import { JSON_FLAG, Output, percent, thousands } from "./output.ts";
import { CLIENT_FOLDER, dataRoot } from "./places.ts";
import { addRunFileFlag, placeOfRun, type PlaceOptions } from "./run_file.ts";

interface ReplayOptions extends PlaceOptions {
  readonly port?: string;
  readonly print?: boolean;
  readonly speed?: string;
  readonly json?: boolean;
}

/** Where nobody says how fast. */
const PRINTED_SPEED = 10;
const MOST_PORTS = 65_535;

export function addReplay(program: Command, done: (exitCode: ExitCode) => void): void {
  const command = program
    .command("replay")
    .description("shows a run again from its event log, on the operator's page or, with --print, here")
    .argument("[NAME]", "the run; the one that was written to last where left out");
  addRunFileFlag(command)
    .option("--runs-folder <FOLDER>", "where runs are kept, one folder each")
    .option("--port <NUMBER>", "of the page; 0 takes a free one (default: 0)")
    .option("--print", "play the run as lines instead of serving the page")
    .option("--speed <FACTOR>", `of the lines: 1 as it was, 100 a hundred times as fast (default: ${PRINTED_SPEED})`)
    .option(...JSON_FLAG)
    .addHelpText(
      "after",
      `\nExample:\n  drove replay lenet-mnist-ea-wild-1\n  drove replay lenet-mnist-ea-wild-1 --print --speed 100\n${EXIT_CODES_HELP}`,
    )
    .action(async (name: string | undefined, options: ReplayOptions) => {
      const output = new Output(options.json ?? false);
      const { runsFolder } = await placeOfRun(options);
      const run = await runNamed(name, runsFolder);
      const folder = `${runsFolder}/${run}`;
      const replay = await readReplay(folder, run, output);
      const end = replay.viewAt(Infinity);
      if (end === undefined)
        throw new CommandError(`The event log of "${run}" has no beginning, so nothing can be shown.`);
      // A program that reads the result does not look at a page.
      const isRead = options.json === true && !process.stdout.isTTY;
      if (options.print === true || isRead) {
        const speed = speedOf(options.speed, options.print === true ? PRINTED_SPEED : Infinity);
        await print(replay, speed, output);
        output.result(summaryOf(run, replay, end), []);
      } else {
        await serve({ run, folder, runsFolder, end, port: portOf(options.port), output });
      }
      done(EXIT.ok);
    });
}

async function runNamed(name: string | undefined, runsFolder: string): Promise<string> {
  const runs = (await listRuns(runsFolder)).map((run) => run.name);
  const found = name === undefined ? runs[0] : runs.find((run) => run === name);
  if (found !== undefined) return found;
  throw new ConfigError(
    runs.length === 0
      ? `There are no runs in ${runsFolder}; begin one with \`drove train\`, or say with --runs-folder where they are.`
      : `There is no run "${name}" in ${runsFolder}; accepted is one of ${runs.join(", ")}.`,
  );
}

async function readReplay(folder: string, run: string, output: Output): Promise<RunReplay> {
  const replay = new RunReplay();
  try {
    const lines = createInterface({ input: createReadStream(runFiles(folder).eventsPath), crlfDelay: Infinity });
    for await (const line of lines) replay.add(line);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CommandError(`The run "${run}" has no event log; it is older than event logs are, or never began.`);
  }
  if (replay.malformed > 0) output.note(`${replay.malformed} lines of the event log cannot be read and are left out.`);
  return replay;
}

/** One line for every event that says something, when it is its turn. */
async function print(replay: RunReplay, speed: number, output: Output): Promise<void> {
  const startMs = performance.now();
  for (let at = replay.notableAfter(-1); at !== undefined; at = replay.notableAfter(at)) {
    const event = replay.eventAt(at);
    if (event === undefined) continue;
    const seconds = replay.secondsOf(at);
    const waitMs = (seconds * 1000) / speed - (performance.now() - startMs);
    if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const numbers = event.kind === "evaluated" ? ` | ${numbersOf(replay.viewAfter(at))}` : "";
    output.say(`${seconds.toFixed(1).padStart(8)} s  ${wordsOf(event)}${numbers}`);
  }
}

function numbersOf(view: RunView | undefined): string {
  if (view === undefined) return "";
  const here = view.replicas.filter(({ connected }) => connected).length;
  return `${thousands(view.samples)} samples, ${thousands(view.samplesPerSecond)}/s, ${here} ${here === 1 ? "replica" : "replicas"}`;
}

function summaryOf(run: string, replay: RunReplay, end: RunView): object {
  const { state, accuracy, testLoss, samples, exchanges, refused, version, incarnation, changes } = end;
  return {
    run,
    seconds: replay.duration,
    events: replay.events,
    malformed: replay.malformed,
    state,
    accuracy,
    testLoss,
    samples,
    exchanges,
    refused,
    version,
    incarnation,
    changes,
    replicas: end.replicas.length,
  };
}

interface Serving {
  readonly run: string;
  readonly folder: string;
  readonly runsFolder: string;
  readonly end: RunView;
  readonly port: number;
  readonly output: Output;
}

/** Until a signal. */
async function serve({ run, folder, runsFolder, end, port, output }: Serving): Promise<void> {
  // Loaded only now: other commands start in half the time without it.
  const { startReplayServer } = await import("../server/replay_server.ts");
  const token = await operatorTokenOf(folder);
  const server = await startReplayServer({
    runsFolder,
    // A run is called as its folder is, which may have been renamed.
    view: { ...end, run },
    token,
    host: "127.0.0.1",
    port,
    clientFolder: CLIENT_FOLDER,
    dataRoot: dataRoot(runsFolder),
    onFailure: (error) => output.note(describeFailure(error)),
  });
  output.say(`The run "${run}" is shown again: ${percent(end.accuracy)} after ${thousands(end.seconds)} s.`);
  output.say(`  You watch it at  ${server.url}/operator#token=${token}&replay=${encodeURIComponent(run)}`);
  output.say("  Ctrl-C ends this; nothing is trained meanwhile.");
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  await server.close();
}

function speedOf(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const speed = Number(text);
  if (Number.isFinite(speed) && speed > 0) return speed;
  throw new ConfigError(`--speed is "${text}"; accepted is a number above 0, such as 100.`);
}

function portOf(text: string | undefined): number {
  const port = Number(text ?? 0);
  if (Number.isSafeInteger(port) && port >= 0 && port <= MOST_PORTS) return port;
  throw new ConfigError(`--port is "${text}"; accepted is a whole number from 0 to ${MOST_PORTS}.`);
}
