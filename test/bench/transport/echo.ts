/**
 * The raw peer: a process that sends back every message once all of it is there, over `ws`, and over a data channel for whoever
 * sends it an offer as text.
 */

import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { collectBuffersSeldom } from "../../../client/node/buffer_collection.ts";
import { RawChannel } from "./raw_channel.ts";
import { readTask, serveParent } from "./serving.ts";

export interface EchoTask {
  /** Of every message. */
  readonly messageBytes: number;
}

collectBuffersSeldom();
const { messageBytes } = readTask() as EchoTask;
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  perMessageDeflate: false,
  maxPayload: Math.max(messageBytes, 1 << 16),
});
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => {
    if (isBinary) socket.send(data as Buffer, { binary: true });
    else void answer((data as Buffer).toString()).then((description) => socket.send(description));
  });
});
server.on("listening", () => {
  const { port } = server.address() as AddressInfo;
  serveParent(`ws://127.0.0.1:${port}`, async () => server.close());
});

function answer(offer: string): Promise<string> {
  const message = new Uint8Array(messageBytes);
  let filled = 0;
  const channel = new RawChannel((part) => {
    message.set(part, filled);
    filled += part.byteLength;
    if (filled < messageBytes) return;
    filled = 0;
    void channel.send(message);
  });
  return channel.answer(offer);
}
