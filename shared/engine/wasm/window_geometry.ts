/**
 * Where a convolution's products read and write. Forward, and for the gradient of the data, each row of a product is the window
 * of one pixel: some lines of some taps in a source image that has a border of zeros. A strided convolution's data gradient falls
 * into phases: input pixels whose position has the same rest by the stride meet the same taps of the filter.
 */

import type { WindowGeometry } from "../operation.ts";

const WORD_BYTES = 4;

/** Along one axis: pixels of the target that meet the same taps. */
interface AxisPhase {
  readonly targets: readonly number[];
  /** For each target the position of its first tap in the source; negative ones lie in the border. */
  readonly starts: readonly number[];
  readonly taps: number;
  /** Source pixels from tap to tap. */
  readonly tapStep: number;
  /** The filter's index of the first tap. */
  readonly firstTap: number;
}

/** Pixels of the target that meet the same taps, as rows of a product, and those taps. */
export interface Phase {
  /** Byte offsets of the rows of the first images: in the source with its border, and in the target. */
  readonly rowsA: Uint32Array<ArrayBuffer>;
  readonly rowsC: Uint32Array<ArrayBuffer>;
  readonly rowsPerImage: number;
  readonly lines: number;
  readonly taps: number;
  /** Bytes in the source from line to line and from tap to tap. */
  readonly lineStepBytes: number;
  readonly tapStepBytes: number;
  readonly tapStep: number;
  /** In the filter. */
  readonly firstLine: number;
  readonly firstTap: number;
}

/** A source image with its border. */
export interface Bordered {
  readonly hasBorder: boolean;
  readonly lineBytes: number;
  readonly imageBytes: number;
  /** From the corner to the first pixel of the image. */
  readonly insideBytes: number;
}

export interface Products {
  readonly source: Bordered;
  readonly phases: readonly Phase[];
  /** Whether the phases write every pixel of the target. */
  readonly covers: boolean;
  /** Filter taps from one tap of a phase to the next, backwards; of forward products 1. */
  readonly filterStep: number;
}

interface Axes {
  readonly rows: readonly AxisPhase[];
  readonly columns: readonly AxisPhase[];
}

interface Sides {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** The input with its border, and the windows of all output pixels of the first `images` images. */
export function forwardProducts(window: WindowGeometry, images: number): Products {
  const { input, output } = window;
  const axes = { rows: [forwardAxis(output.height, window)], columns: [forwardAxis(output.width, window)] };
  return { ...productsOf(axes, input, output, images), filterStep: 1 };
}

/** The output's gradient with its border, and for each pixel of the input those windows that it lies in. */
export function gradientProducts(window: WindowGeometry, images: number): Products {
  const { input, output, stride, dilation } = window;
  const axes = { rows: gradientAxis(input.height, window), columns: gradientAxis(input.width, window) };
  return { ...productsOf(axes, output, input, images), filterStep: stride / divisor(stride, dilation) };
}

/** Bytes of a source image with its border. */
export function borderedBytes(window: WindowGeometry, pass: "forward" | "gradient"): number {
  return (pass === "forward" ? forwardProducts(window, 0) : gradientProducts(window, 0)).source.imageBytes;
}

function forwardAxis(length: number, { size, stride, padding, dilation }: WindowGeometry): AxisPhase {
  const targets = Array.from({ length }, (_, index) => index);
  return {
    targets,
    starts: targets.map((target) => target * stride - padding),
    taps: size,
    tapStep: dilation,
    firstTap: 0,
  };
}

function gradientAxis(length: number, { size, stride, padding, dilation }: WindowGeometry): AxisPhase[] {
  const all = Array.from({ length }, (_, index) => index);
  const common = divisor(stride, dilation);
  return Array.from({ length: stride }, (_, rest): AxisPhase => {
    const met = Array.from({ length: size }, (_tap, tap) => tap).filter((tap) => (tap * dilation) % stride === rest);
    const targets = all.filter((target) => (target + padding) % stride === rest);
    const firstTap = met.at(-1) ?? 0;
    return {
      targets,
      starts: targets.map((target) => (target + padding - firstTap * dilation) / stride),
      taps: met.length,
      tapStep: dilation / common,
      firstTap,
    };
  });
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

function productsOf(axes: Axes, source: Sides, target: Sides, images: number): Omit<Products, "filterStep"> {
  const vertical = bordersOf(axes.rows, source.height);
  const horizontal = bordersOf(axes.columns, source.width);
  const pixelBytes = source.channels * WORD_BYTES;
  const lineBytes = (horizontal.before + source.width + horizontal.after) * pixelBytes;
  const bordered = {
    hasBorder: vertical.before + vertical.after + horizontal.before + horizontal.after > 0,
    lineBytes,
    imageBytes: (vertical.before + source.height + vertical.after) * lineBytes,
    insideBytes: vertical.before * lineBytes + horizontal.before * pixelBytes,
  };
  const phases = axes.rows
    .filter(isMet)
    .flatMap((rows) =>
      axes.columns.filter(isMet).map((columns) => phaseOf(rows, columns, bordered, pixelBytes, target, images)),
    );
  const covers = [...axes.rows, ...axes.columns].every(({ taps, targets }) => taps > 0 || targets.length === 0);
  return { source: bordered, phases, covers };
}

function isMet({ taps, targets }: AxisPhase): boolean {
  return taps > 0 && targets.length > 0;
}

/** How far windows reach out of a source of `length` pixels. */
function bordersOf(phases: readonly AxisPhase[], length: number): { before: number; after: number } {
  let before = 0;
  let after = 0;
  for (const { starts, taps, tapStep } of phases) {
    if (taps === 0) continue;
    for (const start of starts) {
      before = Math.max(before, -start);
      after = Math.max(after, start + (taps - 1) * tapStep - (length - 1));
    }
  }
  return { before, after };
}

function phaseOf(
  rows: AxisPhase,
  columns: AxisPhase,
  source: Bordered,
  pixelBytes: number,
  target: Sides,
  images: number,
): Phase {
  const rowsPerImage = rows.targets.length * columns.targets.length;
  const rowsA = new Uint32Array(images * rowsPerImage);
  const rowsC = new Uint32Array(images * rowsPerImage);
  const targetPixelBytes = target.channels * WORD_BYTES;
  let row = 0;
  for (let image = 0; image < images; image++) {
    for (const [i, y] of rows.targets.entries()) {
      for (const [j, x] of columns.targets.entries()) {
        rowsA[row] =
          image * source.imageBytes +
          source.insideBytes +
          rows.starts[i]! * source.lineBytes +
          columns.starts[j]! * pixelBytes;
        rowsC[row] = ((image * target.height + y) * target.width + x) * targetPixelBytes;
        row++;
      }
    }
  }
  return {
    rowsA,
    rowsC,
    rowsPerImage,
    lines: rows.taps,
    taps: columns.taps,
    lineStepBytes: rows.tapStep * source.lineBytes,
    tapStepBytes: columns.tapStep * pixelBytes,
    tapStep: columns.tapStep,
    firstLine: rows.firstTap,
    firstTap: columns.firstTap,
  };
}
