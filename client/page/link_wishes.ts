/** What the link itself asks for: by hand, or because `drove join` opened it in a browser of its own. */

import { isBackendWish, type BackendWish } from "../../shared/backends.ts";
import { LIMITS } from "../../shared/wire/codes.ts";

export interface LinkWishes {
  /** Undefined: as the run wishes. */
  readonly backend: BackendWish | undefined;
  /** That it asks for and that does not exist. */
  readonly unknownBackend: string | undefined;
  /** Of WASM. */
  readonly threads: number | undefined;
  /** Above 0 and below 1. */
  readonly dutyCycle: number | undefined;
  readonly allowsPeers: boolean;
  /** For the leaderboard; only of those whom nobody looks at: a person's name is no link's to choose. */
  readonly name: string | undefined;
  /** A headless browser that nobody looks at: it starts by itself. A person's browser is never started by a link. */
  readonly isUnattended: boolean;
}

export function readLink(): LinkWishes {
  const link = new URLSearchParams(location.search);
  const backend = link.get("backend");
  const threads = Number(link.get("threads"));
  const share = Number(link.get("duty") ?? "1");
  const isUnattended = link.get("start") === "1" && navigator.webdriver;
  return {
    backend: isBackendWish(backend) && backend !== "auto" ? backend : undefined,
    unknownBackend: backend !== null && !isBackendWish(backend) ? backend : undefined,
    threads: Number.isInteger(threads) && threads >= 1 && threads <= LIMITS.threads ? threads : undefined,
    dutyCycle: share > 0 && share < 1 ? share : undefined,
    allowsPeers: link.get("peers") === "1",
    name: isUnattended ? (link.get("name") ?? undefined) : undefined,
    isUnattended,
  };
}
