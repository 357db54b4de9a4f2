// Products of rows by packed panels, blocked for the caches: the driver behind convolutions and dense layers.

import { FLOAT_BYTES } from "./lanes";
import { packPanels, packPanelsTransposed, PANEL_COLUMNS } from "./panels";
import { ADD, rowTile4, rowTile8, TILE_TABLE_BYTES } from "./row_tiles";

/** Tiles of 6 rows that meet one panel before the next is taken. 8 and 48 measure the same within 2 % (2026-11-21). */
export const BLOCK_TILES: i32 = 16;

/** Rows of the block from `rowsA` and `rowsC` on, times all `columns` of the packed panels. */
export function multiplyBlock(
  rowsA: usize, rowsC: usize, tiles: i32, runs: i32, run: i32, jump: usize,
  panels: usize, columns: i32, at: usize, bias: usize, relu: bool,
): void {
  const depth = runs * run;
  for (let column = 0; column < columns; column += PANEL_COLUMNS) {
    const left = columns - column;
    const offset = at + (<usize>column) * FLOAT_BYTES;
    const panelBias = bias == ADD ? ADD : bias + (<usize>column) * FLOAT_BYTES;
    for (let tile = 0; tile < tiles; tile++) {
      const table = (<usize>tile) * TILE_TABLE_BYTES;
      if (left > 4) {
        rowTile8(rowsA + table, rowsC + table, runs, run, jump, panels, offset, left, panelBias, relu);
      } else {
        rowTile4(rowsA + table, rowsC + table, runs, run, jump, panels, offset, left, panelBias, relu);
      }
    }
    panels += (<usize>depth) * (<usize>PANEL_COLUMNS) * FLOAT_BYTES;
  }
}

/**
 * C = A * B + bias, then relu if asked, over `tiles` tiles of rows. B [runs * run, columns] is packed `stripColumns` at a time
 * (a multiple of 8), so that a strip stays in the L2 cache.
 */
export function multiplyRows(
  rowsA: usize, rowsC: usize, tiles: i32, runs: i32, run: i32, jump: usize,
  b: usize, columns: i32, transposed: bool, packed: usize, stripColumns: i32, bias: usize, relu: bool,
): void {
  const depth = runs * run;
  const rowBytes = (<usize>(transposed ? depth : columns)) * FLOAT_BYTES;
  for (let column = 0; column < columns; column += stripColumns) {
    const width = min(stripColumns, columns - column);
    const at = (<usize>column) * FLOAT_BYTES;
    if (transposed) packPanelsTransposed(b + (<usize>column) * rowBytes, depth, width, rowBytes, packed);
    else packPanels(b + at, depth, width, rowBytes, packed);
    const stripBias = bias == ADD ? ADD : bias + at;
    for (let tile = 0; tile < tiles; tile += BLOCK_TILES) {
      const table = (<usize>tile) * TILE_TABLE_BYTES;
      multiplyBlock(
        rowsA + table, rowsC + table, min(BLOCK_TILES, tiles - tile), runs, run, jump,
        packed, width, at, stripBias, relu,
      );
    }
  }
}
