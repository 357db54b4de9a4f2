/**
 * The page of the training benchmark: starts and ends Web Workers as the conductor says over a WebSocket. A worker that is
 * ended gives back its device, whatever it is doing.
 */

import type { ToPage } from "../job.ts";

/** Starts the browser's GPU process and its shader compiler, so that the first contestant does not pay for them. */
async function wakeGpu(): Promise<void> {
  const adapter = await (navigator.gpu as GPU | undefined)?.requestAdapter();
  if (!adapter) return;
  const device = await adapter.requestDevice();
  const code = "@compute @workgroup_size(1) fn main() {}";
  const module = device.createShaderModule({ code });
  await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
  device.destroy();
}

function serveConductor(): void {
  const workers = new Map<number, Worker>();
  const address = new URL("/page", location.href);
  address.protocol = "ws:";
  const socket = new WebSocket(address);
  socket.addEventListener("message", ({ data }: MessageEvent<string>) => {
    const { kind, id } = JSON.parse(data) as ToPage;
    if (kind === "start") {
      const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: String(id) });
      worker.addEventListener("error", (event) => {
        const sentence = `Its worker failed: ${event.message || "it could not be loaded"}`;
        socket.send(JSON.stringify({ id, sentence }));
      });
      workers.set(id, worker);
    } else {
      workers.get(id)?.terminate();
      workers.delete(id);
    }
  });
}

await wakeGpu().catch(() => undefined);
serveConductor();
