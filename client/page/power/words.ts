/** Why nothing is computed, or less than was set, as sentences: each with what makes it go on. */

import { timeOfMinute, type Decision, type Hours, type PauseReason } from "./rules.ts";

const SHORT: Record<PauseReason, string> = {
  battery: "on battery",
  pressure: "this machine is busy",
  hours: "outside your hours",
};

const GOES_ON: Record<PauseReason, string> = {
  battery: "It goes on by itself when this device is plugged in.",
  pressure: "It goes on by itself when other programs need the machine less.",
  hours: "",
};

/** "on battery and outside your hours"; empty where nothing holds it up. */
export function reasonsInWords(pauses: readonly PauseReason[]): string {
  return listed(pauses.map((reason) => SHORT[reason]));
}

/** When it goes on: of the volunteer's own pause and of everything else that holds it up. */
export function whenItGoesOn(
  { pauses, opensInMinutes }: Pick<Decision, "pauses" | "opensInMinutes">,
  hours: Hours | undefined,
  isPausedByHand: boolean,
): string {
  const sentences = pauses.map((reason) =>
    reason === "hours" && hours !== undefined && opensInMinutes !== undefined
      ? `Your hours begin at ${timeOfMinute(hours.fromMinute)}, in ${spanOf(opensInMinutes)}.`
      : GOES_ON[reason],
  );
  if (isPausedByHand && pauses.length > 0) sentences.push("You also paused it: press Resume as well.");
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

function spanOf(minutes: number): string {
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  if (hours === 0) return `${rest} min`;
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

function listed(parts: readonly string[]): string {
  if (parts.length < 2) return parts[0] ?? "";
  return `${parts.slice(0, -1).join(", ")} and ${parts.at(-1) ?? ""}`;
}
