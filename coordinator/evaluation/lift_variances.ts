/** What evaluation makes of running statistics that exchanges have spoilt. */

import type { ParameterLayout } from "../../shared/model/layout.ts";

/** SPEC E9: a variance that pulls have brought below zero counts as zero. In place. */
export function liftVariances(parameters: Float32Array, { tensors }: ParameterLayout): void {
  for (const { name, offset, elements } of tensors) {
    if (!name.endsWith(".variance")) continue;
    for (let at = offset; at < offset + elements; at++) parameters[at] = Math.max(0, parameters[at]!);
  }
}
