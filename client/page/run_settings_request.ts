/** Asks the coordinator what this run is, and keeps asking while it does not answer. */

import { readRunSettings, type RunSettings } from "../../shared/run_settings.ts";
import { addressOf } from "./addresses.ts";

const RETRY_MS = 3000;

/** Resolves with settings that were checked; `problem` is told a sentence at every try that failed, and whether this page is too old to read them. */
export async function requestRunSettings(
  problem: (sentence: string, isUnreadable: boolean) => void,
): Promise<RunSettings> {
  for (;;) {
    const settings = await tryOnce();
    if (!("problem" in settings)) return settings;
    problem(settings.problem, settings.isUnreadable === true);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function tryOnce(): Promise<RunSettings | { readonly problem: string; readonly isUnreadable?: true }> {
  let response: Response;
  try {
    response = await fetch(addressOf("api/run"), { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  } catch {
    return {
      problem:
        "The coordinator does not answer. This page keeps trying; if that lasts, check your connection, or ask whoever sent you the link whether the run is still on.",
    };
  }
  if (!response.ok) {
    return {
      problem: `The coordinator could not say what is trained here (HTTP ${response.status}). This page keeps trying; if that lasts, ask whoever sent you the link.`,
    };
  }
  try {
    const settings = readRunSettings(await response.json());
    if (!("problem" in settings)) return settings;
    return { problem: `${settings.problem} Reload the page to get the current client.`, isUnreadable: true };
  } catch {
    return {
      problem:
        "What answers at this address is not a Drove coordinator. Check the link, or ask whoever sent it to you.",
    };
  }
}
