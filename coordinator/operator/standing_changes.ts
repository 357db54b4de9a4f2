/**
 * Which of the settings that an operator changed while a run went on still hold when it is resumed (SPEC O4): all, but for those
 * that whoever resumes it sets anew, by a flag or in the run file.
 */

import type { ChangedSetting, OperatorChanges } from "../../shared/operator.ts";
import { readConfig, solverSettingsOf, type RunConfig } from "../run_config.ts";

export interface Resumed {
  readonly retuned: OperatorChanges;
  readonly config: RunConfig;
  /** The run file that the coordinator before had, as it was written. */
  readonly earlier: unknown;
}

export function standingChanges({ retuned, config, earlier }: Resumed): OperatorChanges {
  const before = settingsIn(earlier);
  if (!before) return retuned;
  const now = solverSettingsOf(config);
  const names = Object.keys(retuned) as ChangedSetting[];
  const standing = names.filter((name) => JSON.stringify(now[name]) === JSON.stringify(before[name]));
  return Object.fromEntries(standing.map((name) => [name, retuned[name]]));
}

function settingsIn(runFile: unknown): ReturnType<typeof solverSettingsOf> | undefined {
  try {
    return solverSettingsOf(readConfig({ file: { path: "run.json", value: runFile } }));
  } catch {
    // Another version's, say.
    return undefined;
  }
}
