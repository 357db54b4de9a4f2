/** What an operation is called in sentences: "conv2 filter gradient". */

import type { Operation } from "../operation.ts";

export function wordsOf(operation: Operation): string {
  switch (operation.kind) {
    case "gather":
      return "the gathering of a batch";
    case "softmax-cross-entropy":
    case "mean-squared-error":
      return `the loss (${operation.kind.replaceAll("-", " ")})`;
    default:
      return `${operation.name} ${passOf(operation.kind)}`;
  }
}

function passOf(kind: Operation["kind"]): string {
  if (kind === "take-channels") return "gradient";
  const [pass] = /(statistics|(data-|filter-|scale-)?gradient)$/.exec(kind) ?? ["forward"];
  return pass.replace("-", " ");
}
