/** Ctrl-C for commands that have no other end than being done: the work is told to stop, and leaves nothing half. */

import { Interrupted } from "./exit_codes.ts";

/** Whatever `work` throws after the signal becomes an `Interrupted`. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>, sentence: string): Promise<T> {
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Interrupted(sentence));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupt);
  try {
    return await work(stop.signal);
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupt);
  }
}
