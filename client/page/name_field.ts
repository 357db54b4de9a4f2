/** The name that a volunteer offers, if any: told as it is typed no more often than people pause, and as it is left at once. */

import { byId } from "./dom.ts";

const PAUSE_MS = 800;

export class NameField {
  readonly #input = byId("name", HTMLInputElement);
  #told = "";
  #isTouched = false;
  #timer = 0;

  constructor(changed: (name: string | undefined) => void) {
    const tell = (): void => {
      clearTimeout(this.#timer);
      const name = this.#input.value.trim();
      if (name === this.#told) return;
      this.#told = name;
      changed(this.name);
    };
    this.#input.addEventListener("input", () => {
      this.#isTouched = true;
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(tell, PAUSE_MS);
    });
    this.#input.addEventListener("change", tell);
  }

  get name(): string | undefined {
    const name = this.#input.value.trim();
    return name === "" ? undefined : name;
  }

  /** As the coordinator knows this replica from before, unless the volunteer writes another. */
  known(name: string | null): void {
    if (this.#isTouched || name === null || this.#input.value !== "") return;
    this.#input.value = name;
    this.#told = name;
  }

  clear(): void {
    this.#input.value = "";
    this.#told = "";
    this.#isTouched = false;
  }
}
