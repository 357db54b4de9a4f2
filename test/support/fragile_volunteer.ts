/**
 * A volunteer in Node whose GPU device is destroyed under it once its second exchange was applied, as a driver that resets
 * does. A program of its own, like the real one. Its messages are the lines of stdout, as JSON.
 */

import type { FromWorker } from "../../client/messages.ts";
import { openWebGpu } from "../../client/node/backends.ts";
import { Coordinator } from "../../client/node/coordinator.ts";
import { loadDawn } from "../../client/node/dawn.ts";
import { createSurroundings } from "../../client/node/node_surroundings.ts";
import { Participation } from "../../client/participation/participation.ts";

const EXCHANGES_BEFORE = 2;

const [, , url = ""] = process.argv;
const coordinator = new Coordinator(new URL(url), undefined);
const devices: GPUDevice[] = [];
const settings = await coordinator.settings(new AbortController().signal, (sentence) => console.error(sentence));
const participation = new Participation({
  settings,
  backend: "webgpu",
  surroundings: {
    ...createSurroundings(coordinator, 1, (sentence) => console.error(sentence)),
    openBackend: () => openWebGpu(watchedDawn),
  },
  tell: (message: FromWorker) => {
    process.stdout.write(`${JSON.stringify({ ...message, devices: devices.length })}\n`);
    if (message.kind === "progress" && message.progress.applied >= EXCHANGES_BEFORE && devices.length === 1)
      devices[0]!.destroy();
  },
});
process.stdin.on("close", () => participation.stop()).resume();
await participation.run();
process.exit();

/** Dawn, and a list of the devices that it gave. */
async function watchedDawn(): Promise<GPU> {
  const gpu = await loadDawn();
  const requestAdapter: GPU["requestAdapter"] = async (options) => {
    const adapter = await gpu.requestAdapter(options);
    if (!adapter) return null;
    const { info, features, limits } = adapter;
    const requestDevice: GPUAdapter["requestDevice"] = async (descriptor) => {
      const device = await adapter.requestDevice(descriptor);
      devices.push(device);
      return device;
    };
    return { info, features, limits, requestDevice } as GPUAdapter;
  };
  return { requestAdapter } as GPU;
}
