/** Where a coordinator can be reached: the links to print, and the names that its certificate must hold. */

import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

const ALL_INTERFACES: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || host.startsWith("127.");
}

/** This machine's addresses in its networks; link-local ones need a zone and are no use in a link. */
export function networkAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => address);
}

/** Every link under which a coordinator that listens on `host` can be opened; the first one works on this machine. */
export function linksOf(scheme: "http" | "https", host: string, port: number): string[] {
  const link = (name: string): string => `${scheme}://${isIPv6(name) ? `[${name}]` : name}:${port}`;
  if (!ALL_INTERFACES.has(host)) return [link(host)];
  return [link("localhost"), ...networkAddresses().map(link)];
}
