/** Whose page a request comes from, and from which address. */

import type { IncomingMessage } from "node:http";
import { isIPv6 } from "node:net";
import { isLoopback } from "./addresses.ts";

/** Browsers name the page's origin: it must be ours. Programs that are no browser name none. */
export function isOwnPage(request: IncomingMessage): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return true;
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}

/**
 * Whose connections are counted together: an IPv4 address, or the network that an IPv6 address is in (/64: one household has all of
 * it). Undefined for this machine, whose programs may be a proxy with everybody behind it.
 */
export function networkOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (isLoopback(plain)) return undefined;
  return isIPv6(plain) ? firstGroups(plain, 4) : plain;
}

/** The first `count` of the eight groups of an IPv6 address, zeros written out. */
function firstGroups(address: string, count: number): string {
  const [withoutZone = ""] = address.split("%", 1);
  const [head = "", tail] = withoutZone.split("::");
  const [before, after] = [groupsOf(head), groupsOf(tail ?? "")];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: zeros }, () => "0"), ...after].slice(0, count).join(":");
}

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}
