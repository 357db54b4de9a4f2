/** The coordinator's addresses for operators, all of them asked with the run's token. */

import type { OperatorAnswer, OperatorRequest } from "../../shared/operator.ts";
import * as v from "valibot";
import { addressOf } from "./addresses.ts";

const TIMEOUT_MS = 15_000;

/** The token is not this run's. */
export class TokenRefused extends Error {
  override readonly name = "TokenRefused";
}

const answerSchema = v.union([v.object({ done: v.string() }), v.object({ problem: v.string() })]);

export interface AskOptions {
  readonly method?: "GET" | "HEAD" | "POST";
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export class OperatorApi {
  #token = "";
  readonly #refused: () => void;

  /** `refused` is told whenever the coordinator did not take the token. */
  constructor(refused: () => void) {
    this.#refused = refused;
  }

  use(token: string): void {
    this.#token = token;
  }

  /** The answer, whatever its status; throws `TokenRefused`, or as `fetch` does where nobody answers. */
  async ask(path: string, { method = "GET", body, headers = {}, signal }: AskOptions = {}): Promise<Response> {
    const token = this.#token;
    const response = await fetch(addressOf(path), {
      method,
      cache: "no-store",
      headers: { ...headers, Authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body }),
      signal: signal ?? null,
    });
    if (response.status !== 401) return response;
    // An answer to an older token says nothing about the new one.
    if (token === this.#token) this.#refused();
    throw new TokenRefused("The coordinator did not take the token.");
  }

  /** What was done, or why not; never throws. */
  async order(request: OperatorRequest): Promise<OperatorAnswer> {
    try {
      const response = await this.ask("api/operator/control", {
        method: "POST",
        body: JSON.stringify(request),
        headers: { "Content-Type": "application/json" },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const answer = v.safeParse(answerSchema, await response.json());
      if (answer.success) return answer.output;
      return {
        problem: `The coordinator answers in a way that this page does not know (HTTP ${response.status}); reload the page.`,
      };
    } catch (error) {
      if (error instanceof TokenRefused)
        return { problem: "The coordinator did not take the token; enter it again above." };
      return {
        problem:
          "The coordinator did not answer, so nobody knows whether that was done; the page keeps trying to reach it.",
      };
    }
  }
}
