/**
 * A drawing as an image of MNIST's kind: scaled into a box of 20/28 of the side, anti-aliased, its centre of mass in the middle
 * (LeCun, Cortes and Burges, "The MNIST database of handwritten digits"). A network that was trained on such images
 * answers others badly. Strokes are kept as lines until then, so that a small drawing has no thicker ones than a large one.
 */

/** Of a stroke, in any unit. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Strokes = readonly (readonly Point[])[];

/** Ink of 0..1 over a rectangle of pixels, one row after the other. */
export interface Ink {
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

/** Of 28 pixels: the box that a digit fills, and the width of a pen. */
const SIDE = 28;
const BOX = 20;
const PEN = 2.4;
/** A dot is not blown up to a digit: what is drawn is taken to fill so much of the pad at least. */
const LEAST_EXTENT = 0.12;
/** What is fainter than this is paper. */
const LEAST_INK = 0.2;
/** In each direction, of one pixel. */
const SAMPLES = 4;

interface Bounds {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** From the drawing's units to the image's pixels: target = scale * source + (x, y). */
interface Placement {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

/** `padSide`: of the square that was drawn in, in the strokes' unit. [side, side] of ink 0..255; undefined where nothing is drawn. */
export function digitOfStrokes(strokes: Strokes, padSide: number, side: number): Uint8Array<ArrayBuffer> | undefined {
  const bounds = boundsOf(strokes.flat());
  if (!bounds) return undefined;
  const pen = (PEN * side) / SIDE;
  const extent = Math.max(extentOf(bounds), LEAST_EXTENT * padSide);
  const scale = ((BOX * side) / SIDE - pen) / extent;
  return centred(bounds, scale, side, (placement) => drawn(strokes, placement, pen, side));
}

/** As they lie on the pad. [height, width] of ink 0..255. */
export function pictureOfStrokes(
  strokes: Strokes,
  padSide: number,
  height: number,
  width: number,
): Uint8Array<ArrayBuffer> {
  const side = Math.max(height, width);
  const scale = side / padSide;
  const placement = { scale, x: (width - side) / 2, y: (height - side) / 2 };
  const whole = drawn(strokes, placement, (PEN * side) / SIDE, width, height);
  return bytesOf(whole);
}

/** Of a photograph or a scan, whichever of paper and ink is lighter. Undefined where it shows nothing but paper. */
export function digitOfPicture(luminance: Ink, side: number): Uint8Array<ArrayBuffer> | undefined {
  const ink = inkOf(luminance);
  if (!ink) return undefined;
  const points: Point[] = [];
  for (const [index, value] of ink.values.entries()) {
    if (value === 0) continue;
    const x = index % ink.width;
    const y = Math.floor(index / ink.width);
    points.push({ x, y }, { x: x + 1, y: y + 1 });
  }
  const bounds = boundsOf(points);
  if (!bounds) return undefined;
  const scale = (BOX * side) / SIDE / extentOf(bounds);
  return centred(bounds, scale, side, (placement) => resampled(ink, placement, side));
}

/** Renders twice: with the bounds in the middle, and then with the centre of mass there. */
function centred(
  { left, top, right, bottom }: Bounds,
  scale: number,
  side: number,
  render: (placement: Placement) => Float32Array,
): Uint8Array<ArrayBuffer> {
  const middle = side / 2;
  const x = middle - (scale * (left + right)) / 2;
  const y = middle - (scale * (top + bottom)) / 2;
  const mass = centreOfMass(render({ scale, x, y }), side);
  return bytesOf(render({ scale, x: x + middle - mass.x, y: y + middle - mass.y }));
}

function boundsOf(points: readonly Point[]): Bounds | undefined {
  if (points.length === 0) return undefined;
  const bounds = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const { x, y } of points) {
    bounds.left = Math.min(bounds.left, x);
    bounds.right = Math.max(bounds.right, x);
    bounds.top = Math.min(bounds.top, y);
    bounds.bottom = Math.max(bounds.bottom, y);
  }
  return bounds;
}

function extentOf({ left, top, right, bottom }: Bounds): number {
  return Math.max(right - left, bottom - top);
}

/** The ink of a round pen: full inside it, none beyond it, and in between as far as the pixel is covered. */
function drawn(strokes: Strokes, { scale, x, y }: Placement, pen: number, width: number, height = width): Float32Array {
  const values = new Float32Array(width * height);
  const place = (point: Point): Point => ({ x: scale * point.x + x, y: scale * point.y + y });
  const reach = pen / 2 + 0.5;
  for (const stroke of strokes) {
    for (const [index, point] of stroke.entries()) {
      const from = place(stroke[index - 1] ?? point);
      const to = place(point);
      const firstRow = Math.max(0, Math.floor(Math.min(from.y, to.y) - reach));
      const lastRow = Math.min(height - 1, Math.ceil(Math.max(from.y, to.y) + reach));
      const firstColumn = Math.max(0, Math.floor(Math.min(from.x, to.x) - reach));
      const lastColumn = Math.min(width - 1, Math.ceil(Math.max(from.x, to.x) + reach));
      for (let row = firstRow; row <= lastRow; row++) {
        for (let column = firstColumn; column <= lastColumn; column++) {
          const away = distance({ x: column + 0.5, y: row + 0.5 }, from, to);
          const at = row * width + column;
          values[at] = Math.max(values[at]!, Math.min(1, reach - away));
        }
      }
    }
  }
  return values;
}

/** From `point` to the line between `from` and `to`. */
function distance(point: Point, from: Point, to: Point): number {
  const alongX = to.x - from.x;
  const alongY = to.y - from.y;
  const length = alongX ** 2 + alongY ** 2;
  const part = length === 0 ? 0 : ((point.x - from.x) * alongX + (point.y - from.y) * alongY) / length;
  const nearest = Math.max(0, Math.min(1, part));
  return Math.hypot(point.x - from.x - nearest * alongX, point.y - from.y - nearest * alongY);
}

/** Paper is what the border shows (its median); what differs from it is ink, the strongest difference full ink. */
function inkOf({ width, height, values }: Ink): Ink | undefined {
  const border = values.filter((_, index) => {
    const column = index % width;
    const row = Math.floor(index / width);
    return column === 0 || row === 0 || column === width - 1 || row === height - 1;
  });
  const paper = border.toSorted()[Math.floor(border.length / 2)] ?? 0;
  const strongest = values.reduce((most, value) => Math.max(most, Math.abs(value - paper)), 0);
  if (strongest < LEAST_INK) return undefined;
  const ink = values.map((value) => {
    const part = Math.abs(value - paper) / strongest;
    return part < LEAST_INK ? 0 : part;
  });
  return { width, height, values: ink };
}

function resampled(ink: Ink, { scale, x, y }: Placement, side: number): Float32Array {
  const values = new Float32Array(side * side);
  for (let at = 0; at < values.length; at++) {
    const column = at % side;
    const row = Math.floor(at / side);
    let sum = 0;
    for (let sample = 0; sample < SAMPLES ** 2; sample++) {
      const targetX = column + ((sample % SAMPLES) + 0.5) / SAMPLES;
      const targetY = row + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES;
      sum += inkAt(ink, Math.floor((targetX - x) / scale), Math.floor((targetY - y) / scale));
    }
    values[at] = sum / SAMPLES ** 2;
  }
  const strongest = values.reduce((most, value) => Math.max(most, value), 0);
  return strongest === 0 ? values : values.map((value) => value / strongest);
}

function inkAt({ width, height, values }: Ink, x: number, y: number): number {
  return x < 0 || y < 0 || x >= width || y >= height ? 0 : (values[y * width + x] ?? 0);
}

function centreOfMass(values: Float32Array, side: number): Point {
  let sum = 0;
  let x = 0;
  let y = 0;
  for (const [index, value] of values.entries()) {
    sum += value;
    x += value * ((index % side) + 0.5);
    y += value * (Math.floor(index / side) + 0.5);
  }
  return sum === 0 ? { x: side / 2, y: side / 2 } : { x: x / sum, y: y / sum };
}

function bytesOf(values: Float32Array): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(values, (value) => Math.round(255 * value));
}
