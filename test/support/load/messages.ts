/** What a process of bots and its main program say to each other. */

/** Its task, as JSON on the command line. */
export interface BotsTask {
  readonly url: string;
  readonly bots: number;
  /** Of them, those that exchange, one push a period each. */
  readonly exchanging: number;
  readonly periodMs: number;
}

export type ToBots =
  | { readonly kind: "exchange"; readonly seconds: number }
  /** Everybody leaves. */
  | { readonly kind: "leave" };

export type FromBots =
  /** All are welcomed. */
  { readonly kind: "joined"; readonly codecUp: string; readonly codecDown: string } | BotsResult;

export interface BotsResult {
  readonly kind: "result";
  /** From push to answer. */
  readonly timesMs: readonly number[];
  readonly pushed: number;
  /** Pushes that got neither answer nor refusal. */
  readonly lost: number;
  /** Pushes that were due while the one before was still under way. */
  readonly late: number;
  readonly refusals: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  readonly bytesUp: number;
  readonly bytesDown: number;
}
