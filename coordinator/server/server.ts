/**
 * The coordinator's face: HTTP and WebSocket on one port. Knows a run only as something to describe and to hand
 * connections to; limits, timeouts and the port's own errors are here.
 */

import { X509Certificate } from "node:crypto";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { LIMITS } from "../../shared/wire/codes.ts";
import { ConfigError, type TlsConfig } from "../run_config.ts";
import { linksOf } from "./addresses.ts";
import { readClientFiles } from "./client_files.ts";
import type { OperatorPort } from "./operator_routes.ts";
import { Routes, type ServedAnswers, type ServedShard } from "./routes.ts";
import type { ChannelFaults } from "./peers.ts";
import type { ServedRun } from "./served_run.ts";
import { Sockets, type SocketsOptions } from "./sockets.ts";
import { certificateFor, keyHashOf } from "./tls.ts";

export interface ServerOptions {
  readonly run: ServedRun;
  readonly host: string;
  readonly port: number;
  readonly tls: TlsConfig | null;
  /** Where `npm run build` put the pages. */
  readonly clientFolder: string;
  readonly shards: readonly ServedShard[];
  /** Where the run holds an entrance exam: for each number of parts its answers. */
  readonly exam?: readonly ServedAnswers[];
  readonly checkpointAgeSeconds?: () => number | null;
  /** Who may control the run, and how; nobody where left out. */
  readonly operator?: OperatorPort;
  /** Of data channels, for tests. */
  readonly channelFaults?: ChannelFaults;
  /** Whose connections are counted together, for tests. */
  readonly networkOf?: SocketsOptions["networkOf"];
  /** Told of our own bugs, in full. */
  readonly onFailure: (error: unknown) => void;
}

export interface RunningServer {
  /** The link that works on this machine. */
  readonly url: string;
  /** That one and the links for other machines, where they can reach it. */
  readonly links: readonly string[];
  readonly port: number;
  /** Of https: the hash by which programs may trust a self-signed certificate. */
  readonly keyHash: string | undefined;
  close(): Promise<void>;
}

/** A replica's socket, and for as many pages again a few requests each. */
const MAX_CONNECTIONS = 4 * LIMITS.replicas;

export const TIMEOUTS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  /** How often the first two are looked at. */
  connectionsCheckingInterval: 2000,
} as const;

export async function start(options: ServerOptions): Promise<RunningServer> {
  const { run, host, tls, onFailure } = options;
  const clientFiles = await readClientFiles(options.clientFolder);
  const checkpointAgeSeconds = options.checkpointAgeSeconds ?? (() => null);
  const certificate = tls && (await certificateFor(tls, host));
  const server: Server = certificate ? createHttpsServer({ ...TIMEOUTS, ...certificate }) : createHttpServer(TIMEOUTS);
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, host, options.port);

  const routes = new Routes({
    run,
    clientFiles,
    shards: options.shards,
    exam: options.exam,
    checkpointAgeSeconds,
    operator: options.operator,
    onFailure,
  });
  const sockets = new Sockets(run, {
    onFailure,
    channelFaults: options.channelFaults,
    networkOf: options.networkOf,
  });
  server.on("request", (request, response) => void routes.handle(request, response));
  server.on("upgrade", (request, socket, head) => {
    try {
      sockets.upgrade(request, socket, head);
    } catch (error) {
      onFailure(error);
      socket.destroy();
    }
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => answerMalformed(error, socket));
  server.on("error", onFailure);

  const { port } = server.address() as AddressInfo;
  const links = linksOf(certificate ? "https" : "http", host, port);
  return {
    url: links[0]!,
    links,
    port,
    keyHash: certificate ? keyHashOf(new X509Certificate(certificate.cert)) : undefined,
    close: () =>
      new Promise((resolve) => {
        routes.close();
        sockets.close();
        server.close(() => resolve());
        server.closeIdleConnections();
        // What still answers gets a second.
        setTimeout(() => server.closeAllConnections(), 1000).unref();
      }),
  };
}

export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(new ConfigError(listenSentence(error, host, port))));
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function listenSentence(error: NodeJS.ErrnoException, host: string, port: number): string {
  const { code } = error;
  if (code === "EADDRINUSE") {
    return `Port ${port} on ${host} is already in use; stop the program that has it, or pass another with --port (0 takes a free one).`;
  }
  if (code === "EACCES") return `Port ${port} needs more rights than this user has; pass one above 1023 with --port.`;
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `This machine has no address ${host}; pass one that it has with --host, or 0.0.0.0 for all.`;
  }
  return `Listening on ${host}:${port} failed (${error.message}); pass another --host or --port.`;
}

const MALFORMED_STATUS: ReadonlyMap<string, string> = new Map([
  ["HPE_HEADER_OVERFLOW", "431 Request Header Fields Too Large"],
  ["ERR_HTTP_REQUEST_TIMEOUT", "408 Request Timeout"],
]);

function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = MALFORMED_STATUS.get(error.code ?? "") ?? "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
