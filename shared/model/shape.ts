/** Shapes of images, and the error that names a layer where one does not fit. The words that all of `model/` uses. */

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** What a layer reads: a layer before it, or the model's input. */
export interface Source {
  /** Index of the layer; -1 is the model's input. */
  readonly index: number;
  readonly shape: ImageShape;
}

/** A model that does not fit together: the layer's name, what it got and what it needs. */
export class ModelError extends Error {
  override readonly name = "ModelError";
  /** The layer's place in the model, from 0, where it is one layer's fault. */
  readonly layer: number | undefined;

  constructor(message: string, layer?: number) {
    super(message);
    this.layer = layer;
  }
}

export function elementsOf(shape: ImageShape): number {
  return shape.height * shape.width * shape.channels;
}

export function describeShape({ height, width, channels }: ImageShape): string {
  return `${height}x${width}x${channels}`;
}

export function isCount(value: number): boolean {
  return Number.isInteger(value) && value > 0;
}
