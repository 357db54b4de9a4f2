/** "Forget me": takes away all that this page keeps in the browser, and says what that was. */

import { byId, setText } from "./dom.ts";
import { forgetStored } from "./stored.ts";

/** Of the worker, which keeps there which kernels were fast (client/worker/winners.ts). */
const DATABASE = "drove";

export function startForgetting(forgotten: () => void): void {
  const said = byId("forgotten", HTMLElement);
  byId("forget", HTMLButtonElement).addEventListener("click", () => {
    const had = forgetStored();
    indexedDB.deleteDatabase(DATABASE);
    sessionStorage.clear();
    forgotten();
    setText(
      said,
      had
        ? "Forgotten: which replica you are, the count of today's data, your colours, and which kernels were fast here. What you gave to the run stays in it, without a way back to this browser."
        : "There was nothing to forget: this browser had no entry of this page.",
    );
  });
}
