// The dense layer's three passes. Weights are [inputs, units].

import { columnTile4, columnTile8, TILE_ROWS } from "./column_tiles";
import { FLOAT_BYTES } from "./lanes";
import { PANEL_COLUMNS } from "./panels";
import { multiplyRows } from "./products";

/** output [batch, units] = input [batch, inputs] * weights + bias, then relu if asked. `rows…` hold the addresses of the rows. */
export function dense(
  rowsIn: usize, rowsOut: usize, tiles: i32, inputs: i32, units: i32,
  weights: usize, packed: usize, stripColumns: i32, bias: usize, relu: bool,
): void {
  multiplyRows(rowsIn, rowsOut, tiles, 1, inputs, 0, weights, units, false, packed, stripColumns, bias, relu);
}

/** inputGradient [batch, inputs] = outputGradient [batch, units] * weights^T. `zeros` stands in for a bias. */
export function denseDataGradient(
  rowsOut: usize, rowsIn: usize, tiles: i32, inputs: i32, units: i32,
  weights: usize, packed: usize, stripColumns: i32, zeros: usize,
): void {
  multiplyRows(rowsOut, rowsIn, tiles, 1, units, 0, weights, inputs, true, packed, stripColumns, zeros, false);
}

/** gradient [inputs, units] = input^T [inputs, batch] * outputGradient [batch, units]. */
export function denseFilterGradient(
  input: usize, outputGradient: usize, batch: i32, inputs: i32, units: i32, gradient: usize,
): void {
  const inputBytes = (<usize>inputs) * FLOAT_BYTES;
  const unitBytes = (<usize>units) * FLOAT_BYTES;
  for (let row = 0; row < inputs; row += TILE_ROWS) {
    const a = input + (<usize>row) * FLOAT_BYTES;
    const c = gradient + (<usize>row) * unitBytes;
    for (let column = 0; column < units; column += PANEL_COLUMNS) {
      const at = (<usize>column) * FLOAT_BYTES;
      const left = units - column;
      if (left > 4) {
        columnTile8(a, outputGradient + at, inputBytes, unitBytes, batch, 1, 0, 1, 0, c + at, unitBytes, inputs - row, left, false);
      } else {
        columnTile4(a, outputGradient + at, inputBytes, unitBytes, batch, 1, 0, 1, 0, c + at, unitBytes, inputs - row, left, false);
      }
    }
  }
}
