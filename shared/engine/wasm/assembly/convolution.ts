// The convolution's three passes. Activations NHWC, filters HWIO, square windows. None of them lowers the input into a matrix:
// `size * channels` elements of a window's line lie side by side, and the tiles read (or add to) them where they are.
//
// Inputs come padded already (`pad` below), so that no inner loop tests a border.

import { FLOAT_BYTES, storeFirst } from "./lanes";
import { columnTile4, columnTile8, TILE_ROWS } from "./column_tiles";
import { packPanelsTransposed, PANEL_COLUMNS } from "./panels";
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
 * Overwrites the weights' gradient: each weight sums input * outputGradient over all pixels. `chunkImages` images at a time
 * stay in the L1 cache while every tile of weights passes over them.
 */
export function convolveFilterGradient(
  input: usize, inputImageBytes: usize, inputLineBytes: usize, outputGradient: usize, outputHeight: i32, outputWidth: i32,
  images: i32, chunkImages: i32, size: i32, channels: i32, stride: i32, outChannels: i32, gradient: usize,
): void {
  const pixelBytes = (<usize>(channels * stride)) * FLOAT_BYTES;
  const outPixelBytes = (<usize>outChannels) * FLOAT_BYTES;
  const lineStep = (<usize>stride) * inputLineBytes;
  const lineJump = lineStep - (<usize>outputWidth) * pixelBytes;
  const imageJump = inputImageBytes - (<usize>outputHeight) * lineStep;
  const run = size * channels;
  for (let image = 0; image < images; image += chunkImages) {
    const count = min(chunkImages, images - image);
    const chunk = input + (<usize>image) * inputImageBytes;
    const slopes = outputGradient + (<usize>(image * outputHeight * outputWidth)) * outPixelBytes;
    for (let line = 0; line < size; line++) {
      for (let row = 0; row < run; row += TILE_ROWS) {
        const a = chunk + (<usize>line) * inputLineBytes + (<usize>row) * FLOAT_BYTES;
        const c = gradient + (<usize>(line * run + row)) * outPixelBytes;
        for (let column = 0; column < outChannels; column += PANEL_COLUMNS) {
          const at = (<usize>column) * FLOAT_BYTES;
          const left = outChannels - column;
          if (left > 4) {
            columnTile8(
              a, slopes + at, pixelBytes, outPixelBytes, outputWidth, outputHeight, lineJump, count, imageJump,
              c + at, outPixelBytes, run - row, left, image > 0,
            );
          } else {
            columnTile4(
              a, slopes + at, pixelBytes, outPixelBytes, outputWidth, outputHeight, lineJump, count, imageJump,
              c + at, outPixelBytes, run - row, left, image > 0,
            );
          }
        }
      }
    }
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

/** sums [columns] of a matrix [rows, columns]: the gradient of a bias. */
export function sumColumns(matrix: usize, rows: i32, columns: i32, sums: usize): void {
  const rowBytes = (<usize>columns) * FLOAT_BYTES;
  for (let column = 0; column < columns; column += 4) {
    let from = matrix + (<usize>column) * FLOAT_BYTES;
    let sum = f32x4.splat(0);
    for (let row = 0; row < rows; row++) {
      sum = f32x4.add(sum, v128.load(from));
      from += rowBytes;
    }
    storeFirst(sums + (<usize>column) * FLOAT_BYTES, sum, columns - column);
  }
}
