/** What the center says: the class that it takes the image for, in words, and each class's probability as a bar. */

import type { RunSettings } from "../../../shared/run_settings.ts";
import { className } from "../../trial/subject.ts";
import type { TrialAnswer } from "../../trial/messages.ts";
import { make, setText } from "../dom.ts";
import { percent, whole } from "../format.ts";

/** Of more classes, only the likeliest are shown. */
const ALL_SHOWN = 10;
const LIKELIEST_SHOWN = 5;
/** Of a name; what is longer is cut off. */
const MOST_NAME_CHARACTERS = 14;
/** Under this it is a guess, and said to be one. */
const SURE = 0.5;

interface Row {
  readonly element: HTMLElement;
  readonly name: HTMLElement;
  readonly value: HTMLElement;
}

export class AnswerPanel {
  readonly element = make("div", "trial-answer");
  readonly #settings: RunSettings;
  readonly #said = make("p", "trial-said");
  readonly #version = make("p", "small");
  readonly #rows: readonly Row[];
  readonly #invitation: string;
  #accuracy: number | null = null;

  constructor(settings: RunSettings, invitation: string) {
    this.#settings = settings;
    this.#invitation = invitation;
    this.#said.id = "trial-answer";
    this.#said.setAttribute("role", "status");
    this.#version.id = "trial-version";
    const list = make("ol", "trial-classes");
    list.id = "trial-classes";
    const { classes } = settings.model;
    this.#rows = Array.from({ length: classes <= ALL_SHOWN ? classes : LIKELIEST_SHOWN }, () => makeRow());
    const longest = Array.from({ length: classes }, (_, index) => className(settings, index).length);
    list.style.setProperty("--name", `${Math.min(MOST_NAME_CHARACTERS, Math.max(...longest)) + 1}ch`);
    list.append(...this.#rows.map(({ element }) => element));
    this.element.append(this.#said, list, this.#version);
    this.clear();
  }

  accuracy(accuracy: number | null): void {
    this.#accuracy = accuracy;
  }

  clear(): void {
    this.say(this.#invitation);
    this.#version.textContent = "";
    for (const [index, row] of this.#rows.entries()) this.#write(row, index, undefined, false);
    this.element.classList.add("empty");
  }

  say(sentence: string): void {
    setText(this.#said, sentence);
  }

  /** `label`: what it really is, where that is known. */
  show({ probabilities, version, computedMs }: TrialAnswer, label: number | undefined): void {
    this.element.classList.remove("empty");
    const order = [...probabilities.keys()].toSorted((a, b) => probabilities[b]! - probabilities[a]!);
    const best = order[0] ?? 0;
    const shown = this.#settings.model.classes <= ALL_SHOWN ? order.toSorted((a, b) => a - b) : order;
    for (const [index, row] of this.#rows.entries()) {
      const one = shown[index] ?? 0;
      this.#write(row, one, probabilities[one], one === best);
    }
    this.say(this.#sentence(best, probabilities[best] ?? 0, label));
    const accuracy =
      this.#accuracy === null ? "" : `, ${percent(this.#accuracy)} accurate on images that nobody trains on`;
    setText(
      this.#version,
      `By the center's version ${whole(version)}${accuracy}. Computed in this page in ${computedMs < 1 ? "under 1 ms" : `${whole(computedMs)} ms`}.`,
    );
  }

  #sentence(best: number, probability: number, label: number | undefined): string {
    const name = className(this.#settings, best);
    const said = probability < SURE ? `Perhaps ${name}` : name;
    const sure = `${said}, ${percent(probability, 0)} sure`;
    if (label === undefined) return `${sure}.`;
    return best === label ? `${sure}. Right!` : `${sure}. It is ${className(this.#settings, label)}.`;
  }

  #write({ element, name, value }: Row, index: number, probability: number | undefined, isBest: boolean): void {
    setText(name, className(this.#settings, index));
    setText(value, probability === undefined ? "" : percent(probability, 0));
    element.classList.toggle("best", isBest);
    element.style.setProperty("--part", String(probability ?? 0));
  }
}

function makeRow(): Row {
  const element = make("li");
  const name = make("span", "trial-class");
  const value = make("span", "trial-percent");
  const bar = make("i", "bar");
  bar.setAttribute("aria-hidden", "true");
  element.append(name, bar, value);
  return { element, name, value };
}
