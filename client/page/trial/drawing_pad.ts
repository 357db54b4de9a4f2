/**
 * The pad: strokes by mouse, pen or finger, or an image of the model's size that stands there instead. Arrow keys move what is on
 * it by one of the model's pixels, Delete clears it.
 */

import type { Point } from "../../trial/digit.ts";
import type { ImageShape } from "../../../shared/model/model.ts";
import { make } from "../dom.ts";
import { onThemeChange } from "../theme.ts";
import { paint } from "./pixels.ts";

/** Strokes are in this unit, whatever the pad's size on the screen. */
export const PAD_SIDE = 280;
const PEN_WIDTH = 20;
/** More than anybody draws; a bound for what is kept. */
const MOST_POINTS = 8000;

export interface PadListener {
  /** Something was drawn. */
  drawn(): void;
  /** The keyboard asks to move what is there. */
  nudged(right: number, down: number): void;
  cleared(): void;
}

const ARROWS: Readonly<Record<string, readonly [right: number, down: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export class DrawingPad {
  readonly element = make("div", "trial-pad");
  readonly #canvas = make("canvas");
  readonly #hint: HTMLElement;
  readonly #listener: PadListener;
  readonly #canDraw: boolean;
  readonly #input: ImageShape;
  #strokes: Point[][] = [];
  #points = 0;
  #image: Uint8Array | undefined;
  #pen: number | undefined;

  constructor(listener: PadListener, { canDraw, input, hint }: { canDraw: boolean; input: ImageShape; hint: string }) {
    this.#listener = listener;
    this.#canDraw = canDraw;
    this.#input = input;
    this.#hint = make("p", "trial-hint", hint);
    this.#canvas.width = PAD_SIDE;
    this.#canvas.height = PAD_SIDE;
    this.#canvas.setAttribute("aria-hidden", "true");
    this.#hint.setAttribute("aria-hidden", "true");
    this.element.append(this.#canvas, this.#hint);
    this.element.id = "trial-pad";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    this.element.setAttribute("aria-label", canDraw ? "Pad to draw on" : "Picture");
    this.element.classList.toggle("drawable", canDraw);
    this.#listen();
    onThemeChange(() => this.#show());
  }

  get strokes(): readonly (readonly Point[])[] {
    return this.#strokes;
  }

  /** Stands there instead of strokes. */
  showImage(pixels: Uint8Array): void {
    this.#strokes = [];
    this.#points = 0;
    this.#image = pixels;
    this.#show();
  }

  clear(): void {
    this.#strokes = [];
    this.#points = 0;
    this.#image = undefined;
    this.#pen = undefined;
    this.#show();
  }

  #listen(): void {
    const { element } = this;
    element.addEventListener("keydown", (event) => this.#pressed(event));
    if (!this.#canDraw) return;
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || this.#pen !== undefined) return;
      this.#pen = event.pointerId;
      element.setPointerCapture(event.pointerId);
      this.#image = undefined;
      this.#strokes.push([]);
      this.#add([event]);
    });
    element.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.#pen) return;
      const all = event.getCoalescedEvents();
      this.#add(all.length > 0 ? all : [event]);
    });
    for (const end of ["pointerup", "pointercancel"] as const) {
      element.addEventListener(end, (event) => {
        if (event.pointerId === this.#pen) this.#pen = undefined;
      });
    }
  }

  #add(events: readonly PointerEvent[]): void {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    if (width === 0 || height === 0) return;
    for (const { clientX, clientY } of events) {
      if (this.#points >= MOST_POINTS) break;
      this.#points += 1;
      this.#strokes.at(-1)?.push({
        x: (PAD_SIDE * (clientX - left)) / width,
        y: (PAD_SIDE * (clientY - top)) / height,
      });
    }
    this.#show();
    this.#listener.drawn();
  }

  #pressed(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const arrow = ARROWS[event.key];
    if (arrow) this.#listener.nudged(...arrow);
    else if (event.key === "Delete" || event.key === "Backspace") this.#listener.cleared();
    else return;
    event.preventDefault();
  }

  #show(): void {
    this.#hint.hidden = this.#image !== undefined || this.#strokes.length > 0;
    const context = this.#canvas.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, PAD_SIDE, PAD_SIDE);
    if (this.#image) {
      const { height, width } = this.#input;
      const scale = PAD_SIDE / Math.max(height, width);
      const image = make("canvas");
      paint(image, this.#image, this.#input);
      context.imageSmoothingEnabled = false;
      context.drawImage(
        image,
        (PAD_SIDE - scale * width) / 2,
        (PAD_SIDE - scale * height) / 2,
        scale * width,
        scale * height,
      );
      return;
    }
    context.strokeStyle = getComputedStyle(this.element).color;
    context.lineWidth = PEN_WIDTH;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const stroke of this.#strokes) {
      const [first, ...rest] = stroke;
      if (!first) continue;
      context.beginPath();
      context.moveTo(first.x, first.y);
      // A dot is a line of no length.
      context.lineTo(first.x, first.y);
      for (const { x, y } of rest) context.lineTo(x, y);
      context.stroke();
    }
  }
}
