/** A contestant in a Node process of its own: `process.ts BASE ID`. WebGPU is Dawn's, put where browsers have it. */

import { loadDawn } from "../../../../client/node/dawn.ts";
import { serveConductor } from "./session.ts";

const [, , base, id] = process.argv;
if (!base || !id) throw new Error("process.ts is started by the training benchmark.");
const gpu = await loadDawn();
Object.defineProperty(globalThis.navigator, "gpu", { value: gpu, configurable: true });
await serveConductor(new URL(base), id);
process.exit(0);
