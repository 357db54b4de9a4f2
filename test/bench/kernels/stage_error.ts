/** Says in a sentence why nothing was measured. */
export class StageError extends Error {
  override readonly name = "StageError";
}
