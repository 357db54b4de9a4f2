/** Asks once more before something that cannot be undone, by name. Escape and Cancel say no. */

import { byId, setText } from "./dom.ts";

export interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says that does it. */
  readonly yes: string;
}

export function confirmed({ title, text, yes }: Question): Promise<boolean> {
  const dialog = byId("confirm", HTMLDialogElement);
  setText(byId("confirm-title", HTMLElement), title);
  setText(byId("confirm-text", HTMLElement), text);
  setText(byId("confirm-yes", HTMLElement), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  byId("confirm-no", HTMLElement).focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
