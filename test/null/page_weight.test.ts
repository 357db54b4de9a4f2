/** How heavy the built pages are before anything is pressed. `npm run build` makes them, which comes before the tests. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { ENGINE_BYTES } from "../../client/trial/download.ts";
import { CLIENT_FOLDER } from "../../coordinator/cli/places.ts";
import { gzipBytesOf, loadedBy } from "../support/page_weight.ts";

const MOST_BYTES = 150_000;
const ASSETS = join(CLIENT_FOLDER, "assets");

test.each(["index.html", "operator.html"] as const)(
  "%s loads at most 150 kB of compressed code before anything is pressed, and nothing that computes",
  (page) => {
    const files = loadedBy(page);
    const scripts = files.filter(({ path }) => path.endsWith(".js"));
    const styles = files.filter(({ path }) => path.endsWith(".css"));
    // It is the whole page that was counted.
    expect(scripts.length).toBeGreaterThanOrEqual(2);
    expect(styles.length).toBeGreaterThanOrEqual(1);
    expect(gzipBytesOf(files), JSON.stringify(files)).toBeLessThanOrEqual(MOST_BYTES);
    const code = scripts.map(({ path }) => readFileSync(join(CLIENT_FOLDER, path), "utf8")).join("\n");
    expect(code).not.toMatch(/WebAssembly\.compile|@workgroup_size/);
  },
);

test("What trying a model says that it downloads besides the model is what it downloads", () => {
  const names = readdirSync(ASSETS);
  const bytesOf = (start: string, ends: string): number => {
    const name = names.find((one) => one.startsWith(start) && one.endsWith(ends));
    if (name === undefined) throw new Error(`The build has no ${start}…${ends}.`);
    const content = readFileSync(join(ASSETS, name));
    // The coordinator compresses texts.
    return ends === ".js" ? gzipSync(content, { level: 9 }).byteLength : content.byteLength;
  };
  const bytes = bytesOf("trial_worker-", ".js") + bytesOf("relaxed-", ".wasm");
  expect(Math.abs(bytes - ENGINE_BYTES)).toBeLessThan(0.2 * ENGINE_BYTES);
});
