/**
 * "Try the model": a section of the volunteer's page in which a person draws a digit, gives a picture or takes a test image, and
 * sees what the newest center makes of it. All of it happens in this page; nothing is fetched or computed before the first image.
 */

import type { RunSettings } from "../../../shared/run_settings.ts";
import type { PublicView } from "../../../shared/run_view.ts";
import { digitOfStrokes, pictureOfStrokes } from "../../trial/digit.ts";
import { trialBytes } from "../../trial/download.ts";
import { inverted, shifted } from "../../trial/image.ts";
import { subjectOf, type Subject } from "../../trial/subject.ts";
import { make } from "../dom.ts";
import { bytes } from "../format.ts";
import { AnswerPanel } from "./answer_panel.ts";
import { Asker } from "./asker.ts";
import { DrawingPad, PAD_SIDE } from "./drawing_pad.ts";
import { PictureInput } from "./picture_input.ts";
import { paint } from "./pixels.ts";
import { samplesRow, type Sample } from "./samples.ts";

/** So long after somebody last drew or chose something, answers follow the run. */
const IN_USE_MS = 20_000;
/** Between two questions about the same image. */
const ASK_AGAIN_MS = 5000;
/** In each direction. */
const MOST_NUDGED = 14;

export interface Trial {
  /** What the run says of itself; with a newer version, an image that somebody is looking at is asked about again. */
  view(newest: Pick<PublicView, "version" | "accuracy">): void;
  /** What it has downloaded so far. */
  readonly bytesFetched: number;
}

/** Fills `section` and shows it. */
export function startTrial(section: HTMLElement, settings: RunSettings): Trial {
  const title = make("h2", "", "Try the model");
  title.id = "trial-title";
  section.classList.add("trial");
  section.setAttribute("aria-labelledby", title.id);
  section.hidden = false;
  const subject = subjectOf(settings);
  if (subject.kind === "none") {
    section.replaceChildren(title, make("p", "small", subject.sentence));
    return { view: () => {}, bytesFetched: 0 };
  }
  return new TrialSection(section, title, settings, subject);
}

type Shown = Exclude<Subject, { kind: "none" }>;

const INVITATIONS: Record<Shown["kind"], string> = {
  digit: "Draw a digit, and see what the network takes it for.",
  grey: "Draw something, or give a picture, and see what the network takes it for.",
  colour: "Give a picture, and see what the network takes it for.",
};

class TrialSection implements Trial {
  readonly #subject: Shown;
  readonly #asker: Asker;
  readonly #panel: AnswerPanel;
  readonly #pad: DrawingPad;
  readonly #preview = make("canvas", "trial-preview");
  readonly #seen = make("figure", "trial-seen");
  /** Before it was moved by the arrow keys; undefined where nothing is shown. */
  #image: Uint8Array<ArrayBuffer> | undefined;
  #label: number | undefined;
  #nudged = { right: 0, down: 0 };
  #usedAtMs = Number.NEGATIVE_INFINITY;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #answeredVersion: number | undefined;
  #isOnScreen = false;
  bytesFetched = 0;

  constructor(section: HTMLElement, title: HTMLElement, settings: RunSettings, subject: Shown) {
    this.#subject = subject;
    this.#panel = new AnswerPanel(settings, INVITATIONS[subject.kind]);
    const fetched = (count: number): void => {
      this.bytesFetched += count;
    };
    this.#asker = new Asker(settings, {
      answer: (answer) => {
        this.#answeredVersion = answer.version;
        this.#panel.show(answer, this.#label);
      },
      fetched,
      trouble: (sentence) => this.#panel.say(sentence),
    });
    this.#pad = new DrawingPad(
      { drawn: () => this.#drawn(), nudged: (...by) => this.#nudge(...by), cleared: () => this.#clear() },
      { canDraw: subject.kind !== "colour", input: subject.input, hint: hintOf(subject) },
    );
    const samples = samplesRow(settings, {
      chosen: (sample) => this.#choose(sample),
      fetched,
      trouble: (sentence) => this.#panel.say(sentence),
    });
    const pictures = new PictureInput(section, subject, {
      chosen: (pixels) => this.#choose({ pixels, label: undefined }),
      trouble: (sentence) => this.#panel.say(sentence),
      isWanted: () => this.#isOnScreen,
    });
    section.replaceChildren(title, introduction(settings, subject), this.#body(samples, pictures.element));
    new IntersectionObserver(([entry]) => {
      this.#isOnScreen = entry?.isIntersecting ?? false;
    }).observe(section);
  }

  view({ version, accuracy }: Pick<PublicView, "version" | "accuracy">): void {
    this.#panel.accuracy(accuracy);
    this.#asker.newestVersion = version;
    if (this.#answeredVersion === undefined || this.#answeredVersion === version) return;
    const nowMs = performance.now();
    const isInUse = this.#isOnScreen && !document.hidden && nowMs - this.#usedAtMs < IN_USE_MS;
    if (isInUse && nowMs - this.#askedAtMs >= ASK_AGAIN_MS) this.#ask();
  }

  #body(samples: HTMLElement | undefined, pictures: HTMLElement): HTMLElement {
    const clear = make("button", "quiet", "Clear");
    clear.id = "trial-clear";
    clear.type = "button";
    clear.addEventListener("click", () => this.#clear());
    const { height, width } = this.#subject.input;
    this.#seen.append(this.#preview, make("figcaption", "small", `What the network sees: ${width} × ${height} pixels`));
    this.#seen.hidden = true;
    const tools = make("div", "trial-tools");
    tools.append(clear, pictures);
    const left = make("div", "trial-left");
    left.append(this.#pad.element, tools);
    const right = make("div", "trial-right");
    right.append(this.#panel.element, this.#seen);
    const body = make("div", "trial-body");
    body.append(left, right);
    if (samples) body.append(samples);
    return body;
  }

  #drawn(): void {
    const { kind, input, isLight } = this.#subject;
    const { strokes } = this.#pad;
    const ink =
      kind === "digit"
        ? digitOfStrokes(strokes, PAD_SIDE, input.width)
        : pictureOfStrokes(strokes, PAD_SIDE, input.height, input.width);
    this.#take(ink && isLight ? inverted(ink) : ink, undefined);
  }

  #choose({ pixels, label }: Omit<Sample, "label"> & { readonly label: number | undefined }): void {
    this.#pad.showImage(pixels);
    this.#take(pixels, label);
  }

  #take(pixels: Uint8Array<ArrayBuffer> | undefined, label: number | undefined): void {
    this.#image = pixels;
    this.#label = label;
    this.#nudged = { right: 0, down: 0 };
    this.#usedAtMs = performance.now();
    this.#ask();
  }

  #nudge(right: number, down: number): void {
    if (!this.#image) return;
    this.#nudged = { right: within(this.#nudged.right + right), down: within(this.#nudged.down + down) };
    this.#usedAtMs = performance.now();
    this.#pad.showImage(this.#moved(this.#image));
    this.#ask();
  }

  #moved(image: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    return shifted(image, this.#subject.input, this.#nudged.right, this.#nudged.down);
  }

  #ask(): void {
    if (!this.#image) return;
    this.#askedAtMs = performance.now();
    const pixels = this.#moved(this.#image);
    paint(this.#preview, pixels, this.#subject.input);
    this.#seen.hidden = false;
    if (this.#answeredVersion === undefined) this.#panel.say("Fetching the model …");
    this.#asker.ask(pixels);
  }

  #clear(): void {
    this.#image = undefined;
    this.#label = undefined;
    this.#seen.hidden = true;
    this.#asker.forget();
    this.#pad.clear();
    this.#panel.clear();
  }
}

function within(nudged: number): number {
  return Math.max(-MOST_NUDGED, Math.min(MOST_NUDGED, nudged));
}

function introduction(settings: RunSettings, { kind }: Shown): HTMLElement {
  const how = {
    digit: "Draw a digit with mouse, pen or finger, or drop, paste or choose a picture of one. Arrow keys move it.",
    grey: "Draw with mouse, pen or finger, or drop, paste or choose a picture. Arrow keys move it.",
    colour: "Drop, paste or choose a picture; its middle is taken. Arrow keys move it.",
  }[kind];
  return make(
    "p",
    "small",
    `${how} It stays in this page. Nothing is downloaded before that; then about ${bytes(trialBytes(settings.model))}, and newer parameters now and again while you try.`,
  );
}

function hintOf({ kind }: Shown): string {
  if (kind === "digit") return "Draw a digit here";
  return kind === "grey" ? "Draw here" : "Drop a picture here";
}
