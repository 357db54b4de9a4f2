/** Winners in memory. */

import type { Winners } from "../../shared/engine/tuning.ts";

export class MapOfWinners implements Winners {
  readonly entries = new Map<string, string>();

  get(key: string): Promise<string | undefined> {
    return Promise.resolve(this.entries.get(key));
  }

  set(key: string, value: string): Promise<void> {
    this.entries.set(key, value);
    return Promise.resolve();
  }
}
