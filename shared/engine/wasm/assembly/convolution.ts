// What a convolution's passes consist of besides `multiply` (products.ts): weights packed for the gradient of the data, the
// gradient of the filter for some images or lines, and padded copies. Activations NHWC, filters HWIO, square windows. Nothing
// lowers the input into a matrix: neighbouring elements of a window's line lie side by side, and the tiles read them in place.

import { columnTile4, columnTile8, TILE_ROWS } from "./column_tiles";
import { FLOAT_BYTES } from "./lanes";
import { packHalf, packPanels, PANEL_COLUMNS, PANEL_ROW_BYTES, sumPanels } from "./panels";

/**
 * Packs filters [size, size, columns, rowElements] for the product outputGradient * weights^T of one group and one phase of the
 * stride: `lines` x `runs` taps, first the one at (firstLine, firstTap), each `step` less than the last. Of a tap's matrix
 * `depth` outputs from `weights` on are rows of B, and its `columns` inputs are columns.
 */
export function packTaps(
  weights: usize, size: i32, columns: i32, rowElements: i32, depth: i32,
  firstLine: i32, lines: i32, firstTap: i32, runs: i32, step: i32, target: usize,
): void {
  const rowBytes = (<usize>rowElements) * FLOAT_BYTES;
  const tapBytes = (<usize>columns) * rowBytes;
  const panelRows = <usize>(lines * runs * depth);
  for (let line = 0; line < lines; line++) {
    for (let run = 0; run < runs; run++) {
      const tap = (firstLine - line * step) * size + (firstTap - run * step);
      const row = <usize>((line * runs + run) * depth);
      let panel = target;
      for (let column = 0; column < columns; column += PANEL_COLUMNS) {
        const left = min(columns - column, PANEL_COLUMNS);
        const panelRowBytes = (<usize>(left > 4 ? 8 : 4)) * FLOAT_BYTES;
        const from = weights + (<usize>tap) * tapBytes + (<usize>column) * rowBytes;
        const to = panel + row * panelRowBytes;
        packHalf(from, depth, min(left, 4), rowBytes, to, panelRowBytes);
        if (left > 4) packHalf(from + 4 * rowBytes, depth, left - 4, rowBytes, to + 16, panelRowBytes);
        panel += panelRows * panelRowBytes;
      }
    }
  }
}

/**
 * Gradients of one group's weights and bias (0: none), overwritten or added to: each weight sums input * outputGradient over
 * `height` lines of `width` pixels of some images, whose output gradients lie one after another. A window's line is read in
 * `runs` runs of `run` elements, `tapBytes` apart; windows' lines are `tapLineBytes` apart.
 */
export function filterGradient(
  input: usize, imageBytes: usize, lineStep: usize, pixelStep: usize, tapLineBytes: usize, tapBytes: usize,
  outputGradient: usize, pixelBytes: usize, height: i32, width: i32, images: i32, size: i32, runs: i32, run: i32,
  columns: i32, packed: usize, gradient: usize, rowBytes: usize, biasGradient: usize, add: bool,
): void {
  const pixels = images * height * width;
  packPanels(outputGradient, pixels, columns, pixelBytes, packed);
  if (biasGradient != 0) sumPanels(packed, pixels, columns, biasGradient, add);
  for (let line = 0; line < size; line++) {
    for (let tap = 0; tap < runs; tap++) {
      addRunProducts(
        input + (<usize>line) * tapLineBytes + (<usize>tap) * tapBytes, imageBytes, lineStep, pixelStep,
        packed, height, width, images, run, columns, gradient, rowBytes, add,
      );
      gradient += (<usize>run) * rowBytes;
    }
  }
}

/** The weights of one run. */
function addRunProducts(
  input: usize, imageBytes: usize, lineStep: usize, pixelStep: usize, packed: usize, height: i32, width: i32, images: i32,
  run: i32, columns: i32, gradient: usize, rowBytes: usize, add: bool,
): void {
  const lineJump = lineStep - (<usize>width) * pixelStep;
  const imageJump = imageBytes - (<usize>height) * lineStep;
  const panelBytes = (<usize>(images * height * width)) * PANEL_ROW_BYTES;
  for (let row = 0; row < run; row += TILE_ROWS) {
    const rows = run - row;
    let panel = packed;
    for (let column = 0; column < columns; column += PANEL_COLUMNS) {
      const c = gradient + (<usize>column) * FLOAT_BYTES;
      const left = columns - column;
      if (left > 4) {
        columnTile8(input, panel, pixelStep, width, height, lineJump, images, imageJump, c, rowBytes, rows, left, add);
      } else {
        columnTile4(input, panel, pixelStep, width, height, lineJump, images, imageJump, c, rowBytes, rows, left, add);
      }
      panel += panelBytes;
    }
    input += (<usize>TILE_ROWS) * FLOAT_BYTES;
    gradient += (<usize>TILE_ROWS) * rowBytes;
  }
}

/** Copies lines of `lineBytes` to where `target` points in a padded image, one image after another. */
export function pad(
  source: usize, lineBytes: usize, height: i32, images: i32, target: usize, paddedLineBytes: usize, paddedImageBytes: usize,
): void {
  for (let image = 0; image < images; image++) {
    for (let line = 0; line < height; line++) {
      memory.copy(target + (<usize>line) * paddedLineBytes, source, lineBytes);
      source += lineBytes;
    }
    target += paddedImageBytes;
  }
}
