/** Time as the replica is handed it: a Web Worker's, Node's, or a test's that moves by hand. */

export interface Clock {
  /** Milliseconds since any fixed moment; never goes back. */
  nowMs(): number;
  sleep(ms: number): Promise<void>;
  /** Lets everything that waits in the event loop run (messages, stop), then resolves. */
  breathe(): Promise<void>;
  /**
   * Where the network hands on what is transferred in pieces, each of which waits for this thread's event loop: a sleep of so
   * long lets several through. Left out where a breath takes all that has arrived.
   */
  readonly transferMs?: number;
}
