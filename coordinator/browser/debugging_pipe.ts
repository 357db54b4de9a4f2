/**
 * Asks the one page of a browser for something, through the browser's debugging pipe (`--remote-debugging-pipe`): JSON messages that
 * end with a zero byte. Attached to the page from the first question on only, because a debugger makes its network ten times slower.
 */

import type { Readable, Writable } from "node:stream";
import * as v from "valibot";

const messageSchema = v.object({
  id: v.optional(v.number()),
  result: v.optional(v.unknown()),
  error: v.optional(v.object({ message: v.string() })),
});
const targetsSchema = v.object({ targetInfos: v.array(v.object({ targetId: v.string(), type: v.string() })) });
const attachedSchema = v.object({ sessionId: v.string() });
const evaluatedSchema = v.object({ result: v.object({ value: v.optional(v.unknown()) }) });

/** No message that is asked for is longer. */
const MOST_BYTES = 1 << 20;

export class DebuggingPipe {
  readonly #toBrowser: Writable;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #received = Buffer.alloc(0);
  #asked = 0;
  #session: Promise<string> | undefined;

  constructor(toBrowser: Writable, fromBrowser: Readable) {
    this.#toBrowser = toBrowser;
    // A browser that has ended answers nothing, and whoever waits for it hears of that elsewhere.
    toBrowser.on("error", () => {});
    fromBrowser.on("error", () => {}).on("data", (piece: Buffer) => this.#take(piece));
  }

  /** The value of an expression in the page. Never resolves where the browser has ended. */
  async evaluate(expression: string): Promise<unknown> {
    this.#session ??= this.#attach();
    const evaluated = await this.#ask("Runtime.evaluate", { expression, returnByValue: true }, await this.#session);
    return v.parse(evaluatedSchema, evaluated).result.value;
  }

  async #attach(): Promise<string> {
    const { targetInfos } = v.parse(targetsSchema, await this.#ask("Target.getTargets", {}));
    const targetId = targetInfos.find(({ type }) => type === "page")?.targetId;
    if (targetId === undefined) throw new Error("The browser shows no page.");
    return v.parse(attachedSchema, await this.#ask("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  }

  #ask(method: string, params: object, sessionId?: string): Promise<unknown> {
    const id = ++this.#asked;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#toBrowser.write(`${JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) })}\0`);
    return waiting.promise;
  }

  #take(piece: Buffer): void {
    this.#received = Buffer.concat([this.#received, piece]);
    for (let end = this.#received.indexOf(0); end >= 0; end = this.#received.indexOf(0)) {
      const text = this.#received.toString("utf8", 0, end);
      this.#received = this.#received.subarray(end + 1);
      this.#answer(text);
    }
    if (this.#received.length > MOST_BYTES) this.#received = Buffer.alloc(0);
  }

  #answer(text: string): void {
    const { id, result, error } = v.parse(messageSchema, JSON.parse(text));
    // Events have no number, and nobody asked for them.
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || !waiting) return;
    this.#waiting.delete(id);
    if (error) waiting.reject(new Error(error.message));
    else waiting.resolve(result);
  }
}
