/** A few held-out images of the run's own data, one press away: for those who cannot draw, or have no picture at hand. */

import { elementsOf } from "../../../shared/model/model.ts";
import type { RunSettings } from "../../../shared/run_settings.ts";
import { addressOf } from "../addresses.ts";
import { make } from "../dom.ts";
import { bytes } from "../format.ts";
import { paint } from "./pixels.ts";

export interface Sample {
  readonly pixels: Uint8Array<ArrayBuffer>;
  readonly label: number;
}

const FETCH_TIMEOUT_MS = 15_000;

export interface SamplesListener {
  chosen(sample: Sample): void;
  fetched(bytes: number): void;
  trouble(sentence: string): void;
}

/** Undefined where the run gives none. */
export function samplesRow(settings: RunSettings, listener: SamplesListener): HTMLElement | undefined {
  const { samples } = settings.data;
  if (!samples) return undefined;
  const row = make("div", "trial-samples");
  row.id = "trial-samples";
  const size = samples.examples * (elementsOf(settings.model.input) + 1);
  const show = make("button", "quiet", `Show test images (${bytes(size)})`);
  show.type = "button";
  show.addEventListener("click", () => {
    if (show.ariaDisabled === "true") return;
    show.ariaDisabled = "true";
    void fetchSamples(settings, samples).then((fetched) => {
      show.ariaDisabled = "false";
      if ("problem" in fetched) return listener.trouble(fetched.problem);
      listener.fetched(size);
      const had = document.activeElement === show;
      const buttons = fetched.map((sample, index) => button(settings, sample, index, listener));
      row.replaceChildren(...buttons);
      // The focus does not fall off the page with the button that had it.
      if (had) buttons[0]?.focus();
      return undefined;
    });
  });
  row.append(show);
  return row;
}

function button(settings: RunSettings, sample: Sample, index: number, listener: SamplesListener): HTMLButtonElement {
  const pressed = make("button", "trial-sample");
  pressed.type = "button";
  pressed.setAttribute("aria-label", `Test image ${index + 1}`);
  const canvas = make("canvas");
  paint(canvas, sample.pixels, settings.model.input);
  pressed.append(canvas);
  pressed.addEventListener("click", () => listener.chosen(sample));
  return pressed;
}

async function fetchSamples(
  { model }: RunSettings,
  { url, examples }: { readonly url: string; readonly examples: number },
): Promise<readonly Sample[] | { readonly problem: string }> {
  const pixels = elementsOf(model.input);
  try {
    const response = await fetch(addressOf(url), { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
    const body = new Uint8Array(await response.arrayBuffer());
    if (!response.ok || body.length !== examples * (pixels + 1)) throw new Error(`HTTP ${response.status}`);
    return Array.from({ length: examples }, (_, index) => ({
      pixels: body.slice(index * pixels, (index + 1) * pixels),
      label: body[examples * pixels + index]!,
    }));
  } catch {
    return {
      problem: "The test images did not come. Check that the coordinator is reachable, and press the button again.",
    };
  }
}
