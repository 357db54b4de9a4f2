/** What went wrong and what to do about it: one sentence per matter, each shown once, gone when the matter is; with buttons where one is the fix. */

import { byId, make, setText } from "./dom.ts";

export type Matter =
  | "settings"
  | "browser"
  | "link"
  | "coordinator"
  | "training"
  | "view"
  | "over"
  | "renewed"
  | "data"
  | "sleep";
export type Weight = "trouble" | "advice" | "good";

const HEADINGS: Record<Matter, string> = {
  settings: "The run",
  browser: "Your browser",
  link: "Your link",
  coordinator: "The coordinator",
  training: "Training",
  view: "The numbers",
  over: "The run",
  renewed: "This page",
  data: "Your data cap",
  sleep: "Your browser",
};

interface NoticeExtras {
  readonly heading?: string;
  readonly actions?: readonly { readonly label: string; readonly act: () => void }[];
}

export class Notices {
  readonly #host = byId("notices", HTMLElement);
  readonly #shown = new Map<Matter, HTMLElement>();

  show(matter: Matter, weight: Weight, sentence: string, { heading, actions = [] }: NoticeExtras = {}): void {
    let notice = this.#shown.get(matter);
    if (notice === undefined) {
      notice = make("div");
      notice.append(make("strong"), make("p"), make("div", "actions"));
      this.#shown.set(matter, notice);
      this.#host.append(notice);
    }
    notice.className = `notice ${weight}`;
    const [title, text, buttons] = notice.children;
    if (title !== undefined) setText(title, heading ?? HEADINGS[matter]);
    if (text !== undefined) setText(text, sentence);
    buttons?.replaceChildren(
      ...actions.map(({ label, act }) => {
        const button = make("button", "quiet", label);
        button.type = "button";
        button.addEventListener("click", act);
        return button;
      }),
    );
  }

  clear(matter: Matter): void {
    this.#shown.get(matter)?.remove();
    this.#shown.delete(matter);
  }
}
