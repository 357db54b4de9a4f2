/** The raw peer: a process that sends back every message as it came, over `ws`. */

import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { serveParent, taskOf } from "./serving.ts";

export interface EchoTask {
  readonly longestMessageBytes: number;
}

const { longestMessageBytes } = taskOf<EchoTask>();
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: false,
  maxPayload: longestMessageBytes,
});
server.on("connection", (socket) => {
  socket.on("message", (data) => socket.send(data as Buffer, { binary: true }));
});
server.on("listening", () => {
  const { port } = server.address() as AddressInfo;
  serveParent(`ws://127.0.0.1:${port}`, async () => server.close());
});
