/** What a volunteer reads before anything runs: what is trained, for whom, with what, and what it costs. */

import type { BackendWish } from "../../shared/backends.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { PublicView } from "../../shared/run_view.ts";
import { bytesPerHour, firstBytes } from "./costs.ts";
import { byId, Fields, setText } from "./dom.ts";
import { explain } from "./explanation.ts";
import { bytes, whole } from "./format.ts";

/** Of one machine, where nobody trains whose speed could be told. */
const ASSUMED_SAMPLES_PER_SECOND = 1000;

export class Introduction {
  readonly #fields = new Fields([
    "network",
    "data",
    "goal",
    "method",
    "for-whom",
    "costs",
    "term-compute",
    "term-download",
    "term-exchange",
  ]);
  readonly #settings: RunSettings;

  constructor(settings: RunSettings, backend: BackendWish) {
    this.#settings = settings;
    const words = explain(settings, backend);
    setText(byId("title", HTMLElement), words.title.replace(/\.$/, ""));
    this.#fields.write("network", words.network);
    this.#fields.write("data", words.data);
    this.#fields.write("goal", words.goal);
    this.#fields.write("method", words.method);
    this.#fields.write("for-whom", `The run “${settings.run}”, coordinated by ${location.host}`);
    this.#fields.write("term-compute", words.compute);
    this.#fields.write("term-download", words.download);
    this.#fields.write("term-exchange", words.exchange);
    this.costs(undefined);
    byId("about", HTMLElement).hidden = false;
  }

  /** With the run's view, the hour's data are those of a machine that trains as fast as the others do now. */
  costs(view: Pick<PublicView, "connected" | "samplesPerSecond"> | undefined): void {
    const known = view !== undefined && view.connected > 0 && view.samplesPerSecond > 0;
    const pace = known ? view.samplesPerSecond / view.connected : ASSUMED_SAMPLES_PER_SECOND;
    const hour = bytes(bytesPerHour(this.#settings, pace));
    const at = `${whole(pace)} images a second${known ? ", as the others do now" : ""}`;
    this.#fields.write(
      "costs",
      `Power for computing, as much as you allow below; ${bytes(firstBytes(this.#settings))} to download before the first step; then about ${hour} an hour up and down, at ${at}. You set the cap.`,
    );
  }
}
