/** What an operation is called in sentences: "conv2 filter gradient". */

import type { Operation } from "../operation.ts";

export function wordsOf(operation: Operation): string {
  if (operation.kind === "gather") return "the gathering of a batch";
  if ("outputs" in operation) return `the loss (${operation.kind.replaceAll("-", " ")})`;
  return `${operation.name} ${passOf(operation.kind)}`;
}

function passOf(kind: Operation["kind"]): string {
  if (kind === "take-channels") return "gradient";
  const [pass] = /(statistics|(data-|filter-|scale-)?gradient)$/.exec(kind) ?? ["forward"];
  return pass.replace("-", " ");
}
