/** The papers that `drove reproduce` knows. Each is loaded only when it is asked for. */

import type { Paper } from "./paper.ts";

const PAPERS: Readonly<Record<string, () => Promise<{ readonly PAPER: Paper }>>> = {
  hpcasia20: () => import("./hpcasia20/paper.ts"),
  sc17: () => import("./sc17/paper.ts"),
  easgd: () => import("./easgd/paper.ts"),
  hogwild: () => import("./hogwild/paper.ts"),
  momentum: () => import("./momentum/paper.ts"),
  omnivore: () => import("./omnivore/paper.ts"),
  "caffe-con-troll": () => import("./caffe_con_troll/paper.ts"),
};

export const PAPER_NAMES: readonly string[] = Object.keys(PAPERS);

/** Undefined where there is none of this name. */
export async function paperOf(name: string): Promise<Paper | undefined> {
  return Object.hasOwn(PAPERS, name) ? (await PAPERS[name]?.())?.PAPER : undefined;
}
