/** The papers that `drove reproduce` knows. Each is loaded only when it is asked for. */

import type { Paper } from "./paper.ts";

const PAPERS: Readonly<Record<string, () => Promise<{ readonly PAPER: Paper }>>> = {
  hogwild: () => import("./hogwild/paper.ts"),
  sc17: () => import("./sc17/paper.ts"),
};

export const PAPER_NAMES: readonly string[] = Object.keys(PAPERS);

/** Undefined where there is none of this name. */
export async function paperOf(name: string): Promise<Paper | undefined> {
  return Object.hasOwn(PAPERS, name) ? (await PAPERS[name]?.())?.PAPER : undefined;
}
