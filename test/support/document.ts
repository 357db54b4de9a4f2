/**
 * A document of docs/ as a newcomer follows it: its blocks in their order, each with what is to be done with it. An HTML comment
 * above a block says that: `<!-- try -->` (it ends well), `<!-- try until: WORDS -->` (it goes on, and prints WORDS at some time),
 * `<!-- try: fails -->` (it ends with another code than 0), `<!-- file: NAME -->` (a file that the reader writes), or
 * `<!-- not tried: WHY -->`.
 */

import { readFile } from "node:fs/promises";

type Instruction =
  | { readonly kind: "try"; readonly fails: boolean }
  | { readonly kind: "try-until"; readonly words: string }
  | { readonly kind: "file"; readonly name: string }
  | { readonly kind: "not-tried"; readonly why: string };

export interface Block {
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Undefined where no comment stands above it. */
  readonly instruction: Instruction | undefined;
}

const FENCE = /^```(\w*)$/;
const COMMENT = /^<!-- (.+) -->$/;

export async function readDocument(path: string): Promise<readonly Block[]> {
  const lines = (await readFile(path, "utf8")).split("\n");
  const blocks: Block[] = [];
  let comment: string | undefined;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]?.trim() ?? "";
    const fence = FENCE.exec(line);
    if (fence) {
      const end = lines.findIndex((later, index) => index > at && later.trim() === "```");
      if (end < 0) throw new Error(`${path}:${at + 1}: this block has no end`);
      const text = lines.slice(at + 1, end).join("\n");
      blocks.push({ line: at + 1, language: fence[1] ?? "", text, instruction: instructionOf(comment) });
      at = end;
    }
    // An empty line may stand between a comment and its block.
    if (line !== "") comment = COMMENT.exec(line)?.[1];
  }
  return blocks;
}

function instructionOf(comment: string | undefined): Instruction | undefined {
  if (comment === undefined) return undefined;
  if (comment === "try") return { kind: "try", fails: false };
  if (comment === "try: fails") return { kind: "try", fails: true };
  const [, kind, rest = ""] = /^(try until|file|not tried): (.+)$/.exec(comment) ?? [];
  if (kind === "try until") return { kind: "try-until", words: rest };
  if (kind === "file") return { kind: "file", name: rest };
  if (kind === "not tried") return { kind: "not-tried", why: rest };
  return undefined;
}
