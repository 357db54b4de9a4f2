/**
 * A WebSocket server on this machine that acknowledges: the other end of `message_times.ts`. A client first says in one text
 * message how many messages make one exchange; each time so many have come, it gets one byte.
 */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";

export interface MessageServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function startMessageServer(): Promise<MessageServer> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  server.on("connection", (socket) => {
    let perExchange = 1;
    let received = 0;
    socket.on("error", () => socket.terminate());
    socket.on("message", (message: Buffer, isBinary) => {
      if (!isBinary) {
        perExchange = Number(message.toString());
        received = 0;
      } else if (++received % perExchange === 0) socket.send(new Uint8Array(1));
    });
  });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `ws://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        for (const client of server.clients) client.terminate();
        server.close(() => resolve());
      }),
  };
}
