/**
 * The winners of tuning in a browser: one object store of IndexedDB. A browser that keeps nothing (a private window, a full
 * disk) tunes again at the next start; nothing here rejects.
 */

import type { Winners } from "../../shared/engine/tuning.ts";

const DATABASE = "drove";
const STORE = "winners";

export class StoredWinners implements Winners {
  #database: Promise<IDBDatabase> | undefined;

  async get(key: string): Promise<string | undefined> {
    try {
      const value = await this.#ask<unknown>("readonly", (store) => store.get(key));
      return typeof value === "string" ? value : undefined;
    } catch {
      return undefined;
    }
  }

  async set(key: string, value: string): Promise<void> {
    try {
      await this.#ask("readwrite", (store) => store.put(value, key));
    } catch {
      // It is measured again.
    }
  }

  async #ask<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    this.#database ??= open();
    const database = await this.#database;
    return answerOf(ask(database.transaction(STORE, mode).objectStore(STORE)));
  }
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.addEventListener("upgradeneeded", () => {
    request.result.createObjectStore(STORE);
  });
  return answerOf(request);
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error ?? new Error("IndexedDB gave no reason.")));
    // Another tab holds an older version open.
    request.addEventListener("blocked", () => reject(new Error("IndexedDB is blocked.")));
  });
}
