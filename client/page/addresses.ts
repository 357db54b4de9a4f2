/** Where things are: everything comes from the coordinator that served this page, and nothing from elsewhere. */

export function addressOf(path: string): string {
  return new URL(path, `${location.origin}/`).href;
}

export function socketAddress(): string {
  const address = new URL("/ws", location.origin);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

/** What a volunteer opens. */
export function volunteerAddress(): string {
  return `${location.origin}/`;
}

export function isLoopback(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127(\.\d+){3}$/.test(hostname)
  );
}

/** Within one house or school, as far as the name tells: what goes there and back costs nobody's line. */
export function isLocalNetwork(hostname: string): boolean {
  return (
    isLoopback(hostname) ||
    /^(10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)(\.\d+)+$/.test(hostname) ||
    /^\[f[cd][0-9a-f]{2}:|^\[fe80:/i.test(hostname) ||
    hostname.endsWith(".local") ||
    !/[.:]/.test(hostname)
  );
}
