/**
 * All that this page keeps in the browser's storage: one key of at most 64 characters (P6 of the acceptance matrix). It holds
 * the colours that were chosen, who this replica is, so that a reload goes on as the same one, and how much data went today.
 * Storage may be forbidden or full; then nothing is remembered, and nothing else depends on it.
 */

import type { ReplicaIdentity } from "../messages.ts";

const KEY = "drove";
const MOST_CHARACTERS = 64;
const BYTES_OF_UNIT = 1e5;

export interface Stored {
  readonly theme: "light" | "dark" | undefined;
  readonly identity: ReplicaIdentity | undefined;
  /** Up and down on `day` (days since 1970, local), in steps of 0.1 MB. */
  readonly usage: { readonly day: number; readonly bytes: number } | undefined;
}

const NOTHING: Stored = { theme: undefined, identity: undefined, usage: undefined };
const THEMES = { l: "light", d: "dark" } as const;

/** "d,r1-12,TOKEN,g4k,1f": theme, replica, token, day and data in base 36; what is unknown is empty. */
export function encodeStored({ theme, identity, usage }: Stored): string {
  const fields = [
    theme?.charAt(0) ?? "",
    identity?.replica ?? "",
    identity?.token ?? "",
    usage?.day.toString(36) ?? "",
    usage === undefined ? "" : Math.ceil(usage.bytes / BYTES_OF_UNIT).toString(36),
  ];
  const text = fields.join(",").replace(/,+$/, "");
  // Ids grow with the run; rather than be cut, the longest are not kept.
  if (text.length <= MOST_CHARACTERS) return text;
  return encodeStored({ theme, identity: undefined, usage });
}

export function decodeStored(text: string | null): Stored {
  if (text === null || text.length > MOST_CHARACTERS) return NOTHING;
  const [theme = "", replica = "", token = "", day = "", units = ""] = text.split(",");
  const isIdentity = /^[\w-]+$/.test(replica) && /^[\w-]+$/.test(token);
  const isUsage = /^[0-9a-z]+$/.test(day) && /^[0-9a-z]+$/.test(units);
  return {
    theme: theme === "l" || theme === "d" ? THEMES[theme] : undefined,
    identity: isIdentity ? { replica, token } : undefined,
    usage: isUsage ? { day: Number.parseInt(day, 36), bytes: Number.parseInt(units, 36) * BYTES_OF_UNIT } : undefined,
  };
}

export function readStored(): Stored {
  try {
    return decodeStored(localStorage.getItem(KEY));
  } catch {
    return NOTHING;
  }
}

/** Changes what is named, and keeps the rest. */
export function store(change: Partial<Stored>): void {
  const text = encodeStored({ ...readStored(), ...change });
  try {
    if (text === "") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, text);
  } catch {
    // Without storage the page has no memory.
  }
}

/** Whether there was anything. */
export function forgetStored(): boolean {
  try {
    const had = localStorage.getItem(KEY) !== null;
    localStorage.removeItem(KEY);
    return had;
  } catch {
    return false;
  }
}
