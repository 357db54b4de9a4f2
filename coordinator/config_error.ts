/** Bad input, said in a sentence: the field, what was found, and what is accepted. */

/** Somebody wrote something that a run cannot be made of; the message is one sentence with the fix. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** A value as it was found, for such a sentence. */
export function shown(value: unknown): string {
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "missing");
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
