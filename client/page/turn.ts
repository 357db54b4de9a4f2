/**
 * One tab of a run trains at a time, because two would share one machine and count twice. The browser's own locks say whose
 * turn it is: they are let go when a tab ends in whatever way. Pages from plain http have no locks; there nobody waits.
 */

export interface TurnListener {
  /** Another tab trains; this one is called when that ends. */
  waits(): void;
  begins(): void;
  /** Another tab took over. */
  isTaken(): void;
}

export class Turn {
  readonly #name: string;
  readonly #listener: TurnListener;
  /** Ends the turn, or the waiting for it. */
  #abort: AbortController | undefined;
  #release: (() => void) | undefined;

  /** `run` tells the turns of two runs apart that one address serves after another. */
  constructor(run: string, listener: TurnListener) {
    this.#name = `drove:${run}`;
    this.#listener = listener;
  }

  take(): void {
    this.#ask(false);
  }

  /** Ends the other tab's turn. */
  takeOver(): void {
    this.#ask(true);
  }

  end(): void {
    this.#abort?.abort();
    this.#abort = undefined;
    this.#release?.();
    this.#release = undefined;
  }

  #ask(steal: boolean): void {
    this.end();
    const locks = (navigator as { locks?: LockManager }).locks;
    if (locks === undefined) return this.#listener.begins();
    const abort = new AbortController();
    this.#abort = abort;
    const isCurrent = (): boolean => this.#abort === abort;
    let hasBegun = false;
    const hold = (): Promise<void> | undefined => {
      if (!isCurrent()) return undefined;
      hasBegun = true;
      return new Promise((resolve) => {
        this.#release = resolve;
        this.#listener.begins();
      });
    };
    void (async () => {
      try {
        if (steal) return await locks.request(this.#name, { steal: true }, hold);
        const isFree = await locks.request(this.#name, { ifAvailable: true }, async (lock) => {
          if (lock === null) return false;
          await hold();
          return true;
        });
        if (isFree || !isCurrent()) return;
        this.#listener.waits();
        await locks.request(this.#name, { signal: abort.signal }, hold);
      } catch {
        // Stolen, refused by the browser, or given up by us, which is no news.
        if (!isCurrent()) return;
        this.#abort = undefined;
        this.#release = undefined;
        if (hasBegun) this.#listener.isTaken();
        else this.#listener.begins();
      }
    })();
  }
}
