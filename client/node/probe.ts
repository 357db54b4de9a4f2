/**
 * Which graphics adapter Dawn finds in this process's surroundings, as one JSON object on stdout. A program of its own, since
 * Vulkan looks around only once in a process: `drove join --node` asks it in several surroundings and takes the best.
 */

import { describeAdapter } from "../participation/adapter.ts";
import { firstLine } from "./backends.ts";
import { loadDawn } from "./dawn.ts";

process.stdout.write(`${JSON.stringify(await probe())}\n`);
process.exit();

async function probe(): Promise<object> {
  try {
    const gpu = await loadDawn();
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) return { adapter: null, problem: null };
    // An adapter that gives no device is of no use.
    (await adapter.requestDevice()).destroy();
    return { adapter: describeAdapter(adapter.info), problem: null };
  } catch (error) {
    return { adapter: null, problem: firstLine(error) };
  }
}
