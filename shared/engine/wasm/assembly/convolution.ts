// The convolution's three passes. Activations NHWC, filters HWIO, square windows. None of them lowers the input into a matrix:
// `size * channels` elements of a window's line lie side by side, and the tiles read (or add to) them where they are.
//
// Inputs come padded already (`pad` below), so that no inner loop tests a border.

import { FLOAT_BYTES } from "./lanes";
import { columnTile4, columnTile8, TILE_ROWS } from "./column_tiles";
import { packPanels, packPanelsTransposed, PANEL_COLUMNS, PANEL_ROW_BYTES, sumPanels } from "./panels";
import { BLOCK_TILES, multiplyBlock, multiplyRows } from "./products";
import { ADD, TILE_TABLE_BYTES } from "./row_tiles";

/**
 * output = input * weights + bias, then relu if asked. `windows` and `pixels` hold the address of each output pixel's window
 * and of the pixel itself; `lineJump` leads from the end of one window line to the start of the next.
 */
export function convolve(
  windows: usize, pixels: usize, tiles: i32, size: i32, channels: i32, lineJump: usize,
  weights: usize, outChannels: i32, packed: usize, stripColumns: i32, bias: usize, relu: bool,
): void {
  multiplyRows(
    windows, pixels, tiles, size, size * channels, lineJump,
    weights, outChannels, false, packed, stripColumns, bias, relu,
  );
}

/**
 * Adds outputGradient * weights^T to the (padded, zeroed here) input gradient: for each line of the window one product whose
 * rows overlap in the input, as the windows do.
 */
export function convolveDataGradient(
  pixels: usize, windows: usize, tiles: i32, size: i32, channels: i32, lineBytes: usize,
  weights: usize, outChannels: i32, packed: usize, inputGradient: usize, inputBytes: usize,
): void {
  memory.fill(inputGradient, 0, inputBytes);
  const run = size * channels;
  const rowBytes = (<usize>outChannels) * FLOAT_BYTES;
  const lineWeightBytes = (<usize>run) * rowBytes;
  const linePackedBytes = (<usize>((run + PANEL_COLUMNS - 1) & -PANEL_COLUMNS)) * rowBytes;
  for (let line = 0; line < size; line++) {
    const from = weights + (<usize>line) * lineWeightBytes;
    packPanelsTransposed(from, outChannels, run, rowBytes, packed + (<usize>line) * linePackedBytes);
  }
  for (let tile = 0; tile < tiles; tile += BLOCK_TILES) {
    const table = (<usize>tile) * TILE_TABLE_BYTES;
    for (let line = 0; line < size; line++) {
      multiplyBlock(
        pixels + table, windows + table, min(BLOCK_TILES, tiles - tile), 1, outChannels, 0,
        packed + (<usize>line) * linePackedBytes, run, (<usize>line) * lineBytes, ADD, false,
      );
    }
  }
}

/**
 * Overwrites the gradients of weights and bias: each weight sums input * outputGradient over all pixels. The output gradient of
 * `chunkImages` images at a time is packed and, with their input, stays close while every tile of weights passes over it.
 */
export function convolveFilterGradient(
  input: usize, inputImageBytes: usize, inputLineBytes: usize, outputGradient: usize, outputHeight: i32, outputWidth: i32,
  images: i32, chunkImages: i32, size: i32, channels: i32, stride: i32, outChannels: i32, packed: usize, gradient: usize,
  biasGradient: usize,
): void {
  const outPixelBytes = (<usize>outChannels) * FLOAT_BYTES;
  const run = size * channels;
  for (let image = 0; image < images; image += chunkImages) {
    const count = min(chunkImages, images - image);
    const pixels = outputHeight * outputWidth;
    packPanels(outputGradient, count * pixels, outChannels, outPixelBytes, packed);
    sumPanels(packed, count * pixels, outChannels, biasGradient, image > 0);
    for (let line = 0; line < size; line++) {
      addLineProducts(
        input + (<usize>line) * inputLineBytes, inputImageBytes, (<usize>stride) * inputLineBytes,
        (<usize>(channels * stride)) * FLOAT_BYTES, packed, outputHeight, outputWidth, count, run, outChannels,
        gradient + (<usize>(line * run)) * outPixelBytes, image > 0,
      );
    }
    input += (<usize>count) * inputImageBytes;
    outputGradient += (<usize>(count * pixels)) * outPixelBytes;
  }
}

/** The weights of one line of the window, over the images of a chunk. */
function addLineProducts(
  input: usize, imageBytes: usize, lineStep: usize, pixelStep: usize, packed: usize, height: i32, width: i32, images: i32,
  run: i32, columns: i32, gradient: usize, add: bool,
): void {
  const lineJump = lineStep - (<usize>width) * pixelStep;
  const imageJump = imageBytes - (<usize>height) * lineStep;
  const rowBytes = (<usize>columns) * FLOAT_BYTES;
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

/** The way back: takes the middle, where `source` points, out of each padded image. */
export function crop(
  source: usize, paddedLineBytes: usize, paddedImageBytes: usize, images: i32, target: usize, lineBytes: usize, height: i32,
): void {
  for (let image = 0; image < images; image++) {
    for (let line = 0; line < height; line++) {
      memory.copy(target, source + (<usize>line) * paddedLineBytes, lineBytes);
      target += lineBytes;
    }
    source += paddedImageBytes;
  }
}
