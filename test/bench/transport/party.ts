/** What takes part in a measurement: something that sends so many bytes to a server of its own and gets an answer, one at a time. */

import { Random } from "../../../shared/random.ts";
import type { ServerProcess } from "./server_process.ts";

export interface Party {
  readonly server: ServerProcess;
  /** Resolves when the whole answer is there. */
  exchange(): Promise<void>;
  close(): Promise<void>;
}

/** Small enough to move a center a hundred thousand times. */
const LARGEST_VALUE = 1e-4;

/** What a program would hand out: values in its own memory. */
export function vectorOfSize(elements: number): Float32Array<ArrayBuffer> {
  const random = new Random(1);
  return Float32Array.from({ length: elements }, () => (2 * random.uniform() - 1) * LARGEST_VALUE);
}
