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
