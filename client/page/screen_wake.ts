/** Keeps the screen on while the volunteer wants that and something runs. Browsers let go whenever the tab is hidden, hence the asking anew. */

export class ScreenWake {
  #isWanted = false;
  #isRunning = false;
  #lock: WakeLockSentinel | undefined;
  #isAsking = false;
  readonly #changed: (isAwake: boolean) => void;

  constructor(changed: (isAwake: boolean) => void) {
    this.#changed = changed;
    document.addEventListener("visibilitychange", () => void this.#settle());
  }

  static get isPossible(): boolean {
    return "wakeLock" in navigator;
  }

  want(isWanted: boolean): void {
    this.#isWanted = isWanted;
    void this.#settle();
  }

  running(isRunning: boolean): void {
    if (isRunning === this.#isRunning) return;
    this.#isRunning = isRunning;
    void this.#settle();
  }

  async #settle(): Promise<void> {
    const isDue = this.#isWanted && this.#isRunning && !document.hidden;
    if (!isDue) {
      const lock = this.#lock;
      this.#lock = undefined;
      await lock?.release();
      return;
    }
    if (this.#lock !== undefined || this.#isAsking) return;
    this.#isAsking = true;
    try {
      const lock = await navigator.wakeLock.request("screen");
      this.#lock = lock;
      lock.addEventListener("release", () => {
        if (this.#lock === lock) this.#lock = undefined;
        this.#changed(false);
      });
      this.#changed(true);
    } catch {
      // A low battery, for one. It is asked again when the tab is looked at the next time.
      this.#changed(false);
    } finally {
      this.#isAsking = false;
    }
    // What was wanted may have changed meanwhile.
    if (!(this.#isWanted && this.#isRunning)) await this.#settle();
  }
}
