/** What went wrong and what to do about it: one sentence per matter, each shown once, gone when the matter is. */

import { byId, make, setText } from "./dom.ts";

export type Matter = "settings" | "browser" | "link" | "coordinator" | "training" | "view" | "over";
export type Weight = "trouble" | "advice" | "good";

const HEADINGS: Record<Matter, string> = {
  settings: "The run",
  browser: "Your browser",
  link: "Your link",
  coordinator: "The coordinator",
  training: "Training",
  view: "The numbers",
  over: "The run",
};

export class Notices {
  readonly #host = byId("notices", HTMLElement);
  readonly #shown = new Map<Matter, HTMLElement>();

  show(matter: Matter, weight: Weight, sentence: string): void {
    let notice = this.#shown.get(matter);
    if (notice === undefined) {
      notice = make("div");
      notice.append(make("strong", "", HEADINGS[matter]), make("p"));
      this.#shown.set(matter, notice);
      this.#host.append(notice);
    }
    notice.className = `notice ${weight}`;
    const text = notice.lastElementChild;
    if (text !== null) setText(text, sentence);
  }

  clear(matter: Matter): void {
    this.#shown.get(matter)?.remove();
    this.#shown.delete(matter);
  }
}
