/** The one entry that the volunteer's page keeps: short, read back as it was written, and refused where it is none of ours. */

import { expect, test } from "vitest";
import { decodeStored, encodeStored, type Stored } from "../../client/page/stored.ts";

const NOTHING: Stored = { theme: undefined, identity: undefined, usage: undefined };
/** As long as the coordinator makes them: an HMAC of 256 bits in base64url. */
const TOKEN = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq-_";

test("What is stored is read back, and takes 64 characters at most", () => {
  const all: Stored = {
    theme: "dark",
    identity: { replica: "r1-12", token: TOKEN },
    usage: { day: 20_778, bytes: 4.2e8 },
  };
  const text = encodeStored(all);
  expect(text.length).toBeLessThanOrEqual(64);
  expect(decodeStored(text)).toEqual(all);
  for (const some of [{ ...NOTHING, theme: "light" as const }, { ...NOTHING, usage: all.usage }, NOTHING]) {
    expect(decodeStored(encodeStored(some))).toEqual(some);
  }
});

test("An identity too long for the entry is left out rather than cut, and the day's data stay", () => {
  const usage = { day: 20_778, bytes: 1e12 };
  const text = encodeStored({ theme: "dark", identity: { replica: "r1000-100000", token: TOKEN }, usage });
  expect(text.length).toBeLessThanOrEqual(64);
  expect(decodeStored(text)).toEqual({ theme: "dark", identity: undefined, usage });
});

test("Data are rounded up to a tenth of a megabyte, so that a cap is never passed by reloading", () => {
  expect(decodeStored(encodeStored({ ...NOTHING, usage: { day: 1, bytes: 1 } })).usage?.bytes).toBe(1e5);
});

test("What is none of ours is nothing", () => {
  for (const text of [null, "", "dark", "<script>", "x".repeat(65), "d,../,<b>,!,?"]) {
    expect(decodeStored(text)).toEqual(text?.startsWith("d,") ? { ...NOTHING, theme: "dark" } : NOTHING);
  }
});
