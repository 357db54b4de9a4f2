/** A picture of one's own, by any of the ways in which people hand one over: a button, dropping it on the section, pasting it. */

import type { Subject } from "../../trial/subject.ts";
import { make } from "../dom.ts";
import { readPicture } from "./picture.ts";

export interface PictureListener {
  chosen(pixels: Uint8Array<ArrayBuffer>): void;
  /** A sentence with the fix. */
  trouble(sentence: string): void;
  /** What is pasted anywhere on the page counts where the section is on the screen. */
  isWanted(): boolean;
}

export class PictureInput {
  readonly element: HTMLElement;
  readonly #subject: Exclude<Subject, { kind: "none" }>;
  readonly #listener: PictureListener;
  #turn = 0;

  constructor(section: HTMLElement, subject: Exclude<Subject, { kind: "none" }>, listener: PictureListener) {
    this.#subject = subject;
    this.#listener = listener;
    const input = make("input");
    input.type = "file";
    input.accept = "image/*";
    input.id = "trial-file";
    input.addEventListener("change", () => {
      void this.#take(input.files?.[0]);
      // The same file may be chosen again.
      input.value = "";
    });
    this.element = make("label", "trial-file", "Choose a picture");
    this.element.append(input);
    this.#listenForDrops(section);
    document.addEventListener("paste", (event) => {
      const [file] = event.clipboardData?.files ?? [];
      if (!file || !listener.isWanted()) return;
      event.preventDefault();
      void this.#take(file);
    });
  }

  #listenForDrops(section: HTMLElement): void {
    const show = (isOver: boolean): void => {
      section.classList.toggle("dropping", isOver);
    };
    section.addEventListener("dragover", (event) => {
      // Else the browser leaves the page for the picture.
      event.preventDefault();
      show(true);
    });
    section.addEventListener("dragleave", () => show(false));
    section.addEventListener("drop", (event) => {
      event.preventDefault();
      show(false);
      const [file] = event.dataTransfer?.files ?? [];
      if (file) void this.#take(file);
      else this.#listener.trouble("What was dropped is no file. Save the picture first, and drop the file here.");
    });
  }

  async #take(file: File | undefined): Promise<void> {
    if (!file) return;
    this.#turn += 1;
    const turn = this.#turn;
    const read = await readPicture(file, this.#subject);
    if (turn !== this.#turn) return;
    if ("problem" in read) this.#listener.trouble(read.problem);
    else this.#listener.chosen(read);
  }
}
