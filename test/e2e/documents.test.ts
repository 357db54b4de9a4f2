/** Every document of docs/ is followed as it stands: what a reader is told to type works. */

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readDocument } from "../support/document.ts";
import { DocumentTrial } from "../support/document_trial.ts";

const DOCS = fileURLToPath(new URL("../../docs", import.meta.url));
const documents = readdirSync(DOCS).filter((name) => name.endsWith(".md"));

test("There are documents, and every command in them says whether it is tried", async () => {
  expect(documents.length).toBeGreaterThanOrEqual(7);
  for (const name of documents) {
    const blocks = await readDocument(`${DOCS}/${name}`);
    const unsaid = blocks.filter(({ language, instruction }) => language === "sh" && !instruction);
    expect(unsaid.map(({ line }) => `${name}:${line}`)).toEqual([]);
  }
});

for (const name of documents) {
  test(`What docs/${name} tells its reader to type works`, async () => {
    const blocks = await readDocument(`${DOCS}/${name}`);
    const trial = await DocumentTrial.begin();
    try {
      for (const block of blocks) {
        await expect(trial.follow(block), `${name}:${block.line}`).resolves.toBeUndefined();
      }
    } finally {
      await trial.end();
    }
  });
}
