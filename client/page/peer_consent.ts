/**
 * Asks the volunteer, before Start and only where the run has a use for it, whether the page may connect to other volunteers
 * directly: they would see this computer's network address. Not given unless it is ticked; nothing remembers it.
 */

import { byId } from "./dom.ts";

export class PeerConsent {
  readonly #question = byId("peers-consent", HTMLElement);
  readonly #box = byId("peers", HTMLInputElement);

  #isAsked = false;

  get isGiven(): boolean {
    return this.#box.checked;
  }

  ask(): void {
    this.#isAsked = true;
    this.#question.hidden = false;
  }

  /** By whoever started this browser to train. */
  give(): void {
    this.#box.checked = true;
  }

  /** Only before Start: what is running keeps what it began with. */
  mayChange(mayChange: boolean): void {
    this.#question.hidden = !this.#isAsked || !mayChange;
  }
}
