/** What the coordinator answered to an order, beside the control that asked. */

import type { OperatorAnswer } from "../../shared/operator.ts";
import { setText } from "./dom.ts";

export function say(place: HTMLElement, answer: OperatorAnswer): void {
  const isProblem = "problem" in answer;
  place.classList.toggle("problem", isProblem);
  setText(place, isProblem ? answer.problem : answer.done);
}
