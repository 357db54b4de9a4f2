/** The same bytes over `ws`, or over WebRTC's data channel, and nothing else: a message there, the same message back. */

import { once } from "node:events";
import { WebSocket } from "ws";
import type { EchoTask } from "./echo.ts";
import type { Party } from "./party.ts";
import { RawChannel } from "./raw_channel.ts";
import { ServerProcess } from "./server_process.ts";

export async function rawSocket(vector: Float32Array<ArrayBuffer>): Promise<Party> {
  const message = new Uint8Array(vector.buffer);
  const { server, socket } = await openEcho(message.byteLength);
  let answer = Promise.withResolvers<ArrayBuffer>();
  socket.on("message", (data) => answer.resolve(data as ArrayBuffer));
  return {
    server,
    exchange: async () => {
      answer = Promise.withResolvers();
      socket.send(message, { binary: true });
      const { byteLength } = await answer.promise;
      if (byteLength !== message.byteLength) throw new Error(`${byteLength} bytes came back`);
    },
    close: async () => {
      socket.close();
      await server.stop();
    },
  };
}

export async function rawChannel(vector: Float32Array<ArrayBuffer>): Promise<Party> {
  const message = new Uint8Array(vector.buffer);
  const { server, socket } = await openEcho(message.byteLength);
  const answer = new Uint8Array(message.byteLength);
  let filled = 0;
  let answered = Promise.withResolvers<void>();
  const channel = new RawChannel((part) => {
    answer.set(part, filled);
    filled += part.byteLength;
    if (filled === answer.byteLength) answered.resolve();
  });
  socket.send(await channel.offer());
  const [description] = (await once(socket, "message")) as [Buffer];
  await channel.accept(Buffer.from(description).toString());
  await channel.opened;
  return {
    server,
    exchange: async () => {
      filled = 0;
      answered = Promise.withResolvers();
      await channel.send(message);
      await answered.promise;
    },
    close: async () => {
      channel.close();
      socket.close();
      await server.stop();
    },
  };
}

async function openEcho(messageBytes: number): Promise<{ server: ServerProcess; socket: WebSocket }> {
  const task: EchoTask = { messageBytes };
  const server = await ServerProcess.start(new URL("echo.ts", import.meta.url), task);
  const socket = new WebSocket(server.url, { perMessageDeflate: false });
  socket.binaryType = "arraybuffer";
  await once(socket, "open");
  return { server, socket };
}
