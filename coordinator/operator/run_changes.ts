/**
 * The settings that were changed while a run went on, by its operator or its autotuner (SPEC O4), as people read them, and
 * which of them a restart has to bring back: the operator's. The autotuner brings its own back.
 */

import type { ChangedSetting, OperatorChanges } from "../../shared/operator.ts";
import type { RunChange } from "../../shared/run_view.ts";
import type { SolverSettings } from "../../shared/solver/settings.ts";

/** What may change while the run goes on. */
export type Retuning = Partial<Pick<SolverSettings, ChangedSetting | "groups">>;

export interface EarlierChanges {
  readonly changes: readonly RunChange[];
  readonly retuned: OperatorChanges;
}

/** Of the newest: an autotuner goes on choosing for as long as the run takes. */
const CHANGES_KEPT = 500;

export class RunChanges {
  /** As it was last recorded: trials of the autotuner pass by. */
  #known: SolverSettings;
  #changes: RunChange[];
  #retuned: OperatorChanges;

  constructor(settings: SolverSettings, earlier: EarlierChanges = { changes: [], retuned: {} }) {
    this.#known = settings;
    this.#changes = [...earlier.changes];
    this.#retuned = earlier.retuned;
  }

  /** In order of time. */
  get list(): readonly RunChange[] {
    return this.#changes;
  }

  /** What the operator changed, as it is now. */
  get retuned(): OperatorChanges {
    return this.#retuned;
  }

  /** The settings that are not what they were before. */
  record(now: Retuning, by: RunChange["by"], at: Pick<RunChange, "seconds" | "samples">): readonly RunChange[] {
    const names = Object.keys(now) as (keyof Retuning)[];
    const changed = names.flatMap((setting): RunChange[] => {
      const [from, to] = [shownSetting(setting, this.#known[setting]), shownSetting(setting, now[setting])];
      const { seconds, samples } = at;
      return from === to ? [] : [{ seconds, samples, setting, from, to, by }];
    });
    this.#known = { ...this.#known, ...now };
    this.#changes = [...this.#changes, ...changed].slice(-CHANGES_KEPT);
    const { groups: _groups, ...ofOperators } = now;
    if (by === "operator") this.#retuned = { ...this.#retuned, ...ofOperators };
    return changed;
  }
}

/** As on the command line, where that has a word for it. */
function shownSetting(setting: keyof Retuning, value: Retuning[keyof Retuning]): string {
  if (value === null || value === undefined) return setting === "movingRate" ? "elastic rate / replicas" : "none";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  switch (value.kind) {
    case "none":
      return "none";
    case "scale":
      return `scale:${value.halfRateStaleness}`;
    case "bound":
      return `bound:${value.limit}`;
    default:
      return value satisfies never;
  }
}
