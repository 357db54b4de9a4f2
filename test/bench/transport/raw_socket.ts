/** The same bytes over `ws` and nothing else: a message there, the same message back. */

import { once } from "node:events";
import { WebSocket } from "ws";
import type { EchoTask } from "./echo.ts";
import type { Party } from "./party.ts";
import { ServerProcess } from "./server_process.ts";

export async function rawSocket(vector: Float32Array<ArrayBuffer>): Promise<Party> {
  const message = new Uint8Array(vector.buffer);
  const task: EchoTask = { longestMessageBytes: message.byteLength };
  const server = await ServerProcess.start(new URL("echo.ts", import.meta.url), task);
  const socket = new WebSocket(server.url, { perMessageDeflate: false });
  socket.binaryType = "arraybuffer";
  await once(socket, "open");
  let answered: (data: ArrayBuffer) => void = () => {};
  socket.on("message", (data) => answered(data as ArrayBuffer));
  return {
    server,
    exchange: () =>
      new Promise((resolve, reject) => {
        answered = ({ byteLength }) =>
          byteLength === message.byteLength ? resolve() : reject(new Error(`${byteLength} bytes came back`));
        socket.send(message, { binary: true });
      }),
    close: async () => {
      socket.close();
      await server.stop();
    },
  };
}
