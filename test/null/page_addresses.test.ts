/** Which addresses are in one's own house, so that data to and fro cost nobody's line. */

import { expect, test } from "vitest";
import { isLocalNetwork } from "../../client/page/addresses.ts";

test("Loopback, private networks and plain names are local; every other address is not", () => {
  const local = [
    "localhost",
    "127.0.0.1",
    "10.0.0.4",
    "192.168.1.7",
    "172.31.0.2",
    "[fd12::1]",
    "lab.local",
    "teacher",
  ];
  expect(local.filter((name) => !isLocalNetwork(name))).toEqual([]);
  const far = ["drove.example", "8.8.8.8", "172.32.0.1", "192.169.0.1", "[2001:db8::1]", "10.example.org"];
  expect(far.filter(isLocalNetwork)).toEqual([]);
});
