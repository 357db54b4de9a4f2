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

/** Examples whose six columns of input and one panel of output gradients share a 32 KB L1 cache. */
const BLOCK_EXAMPLES: i32 = 384;

/**
 * gradient [inputs, units] = input^T [inputs, batch] * outputGradient [batch, units]. Both sides are packed: a row of a wide
 * layer is a power of two bytes more often than not, and a column of it then falls into few sets of the cache.
 */
export function denseFilterGradient(
  input: usize, outputGradient: usize, batch: i32, inputs: i32, units: i32, packed: usize, gradient: usize,
  biasGradient: usize,
): void {
  const inputBytes = (<usize>inputs) * FLOAT_BYTES;
  const unitBytes = (<usize>units) * FLOAT_BYTES;
  for (let first = 0; first < batch; first += BLOCK_EXAMPLES) {
    const count = min(BLOCK_EXAMPLES, batch - first);
    addExamples(input, outputGradient, count, inputs, units, packed, gradient, biasGradient, first > 0);
    input += (<usize>count) * inputBytes;
    outputGradient += (<usize>count) * unitBytes;
  }
}

/** The same over some examples, overwritten or added to. */
function addExamples(
  input: usize, outputGradient: usize, count: i32, inputs: i32, units: i32, packed: usize, gradient: usize,
  biasGradient: usize, add: bool,
): void {
  const unitBytes = (<usize>units) * FLOAT_BYTES;
  const panelBytes = (<usize>count) * PANEL_ROW_BYTES;
  const panels = packed + panelBytes;
  packPanels(outputGradient, count, units, unitBytes, panels);
  if (biasGradient != 0) sumPanels(panels, count, units, biasGradient, add);
  for (let row = 0; row < inputs; row += TILE_ROWS) {
    const rows = inputs - row;
    packColumns(input + (<usize>row) * FLOAT_BYTES, count, (<usize>inputs) * FLOAT_BYTES, packed);
    let panel = panels;
    for (let column = 0; column < units; column += PANEL_COLUMNS) {
      const c = gradient + (<usize>(row * units + column)) * FLOAT_BYTES;
      const left = units - column;
      if (left > 4) {
        columnTile8(packed, panel, PANEL_ROW_BYTES, count, 1, 0, 1, 0, c, unitBytes, rows, left, add);
      } else {
        columnTile4(packed, panel, PANEL_ROW_BYTES, count, 1, 0, 1, 0, c, unitBytes, rows, left, add);
      }
      panel += panelBytes;
    }
  }
}
