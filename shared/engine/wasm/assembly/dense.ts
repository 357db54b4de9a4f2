// The dense layer's three passes. Weights are [inputs, units].

import { columnTile4, columnTile8, TILE_ROWS } from "./column_tiles";
import { FLOAT_BYTES } from "./lanes";
import { packColumns, packPanels, PANEL_COLUMNS, PANEL_ROW_BYTES, sumPanels } from "./panels";
import { multiplyMatrix } from "./products";

/**
 * output [batch, units] = input [batch, inputs] * weights + bias, then relu if asked. `rows…` hold the offsets of the rows;
 * zeros stand in for a bias.
 */
export function dense(
  rowsIn: usize, input: usize, rowsOut: usize, output: usize, batch: i32, inputs: i32, units: i32,
  weights: usize, packed: usize, stripColumns: i32, bias: usize, relu: bool,
): void {
  multiplyMatrix(rowsIn, input, rowsOut, output, batch, inputs, weights, units, false, packed, stripColumns, bias, relu);
}

/** inputGradient [batch, inputs] = outputGradient [batch, units] * weights^T, or added to where `bias` is 0; else it holds zeros. */
export function denseDataGradient(
  rowsOut: usize, outputGradient: usize, rowsIn: usize, inputGradient: usize, batch: i32, inputs: i32, units: i32,
  weights: usize, packed: usize, stripColumns: i32, bias: usize,
): void {
  multiplyMatrix(
    rowsOut, outputGradient, rowsIn, inputGradient, batch, units,
    weights, inputs, true, packed, stripColumns, bias, false,
  );
}

/**
 * gradient [inputs, units] = input^T [inputs, batch] * outputGradient [batch, units]. Both sides are packed: a row of a wide
 * layer is a power of two bytes more often than not, and a column of it then falls into few sets of the cache.
 */
export function denseFilterGradient(
  input: usize, outputGradient: usize, batch: i32, inputs: i32, units: i32, packed: usize, gradient: usize,
  biasGradient: usize,
): void {
  const unitBytes = (<usize>units) * FLOAT_BYTES;
  const panelBytes = (<usize>batch) * PANEL_ROW_BYTES;
  const panels = packed + panelBytes;
  packPanels(outputGradient, batch, units, unitBytes, panels);
  if (biasGradient != 0) sumPanels(panels, batch, units, biasGradient, false);
  for (let row = 0; row < inputs; row += TILE_ROWS) {
    const rows = inputs - row;
    packColumns(input + (<usize>row) * FLOAT_BYTES, batch, (<usize>inputs) * FLOAT_BYTES, packed);
    let panel = panels;
    for (let column = 0; column < units; column += PANEL_COLUMNS) {
      const c = gradient + (<usize>(row * units + column)) * FLOAT_BYTES;
      const left = units - column;
      if (left > 4) {
        columnTile8(packed, panel, PANEL_ROW_BYTES, batch, 1, 0, 1, 0, c, unitBytes, rows, left, false);
      } else {
        columnTile4(packed, panel, PANEL_ROW_BYTES, batch, 1, 0, 1, 0, c, unitBytes, rows, left, false);
      }
      panel += panelBytes;
    }
  }
}
