/**
 * WebGPU in Node: Chromium's own implementation, Dawn, as the package `webgpu` has it (0.6.2: 132 MB for all platforms, 22 MB
 * of them loaded, in 4 ms). On Linux it speaks Vulkan, whose library and drivers are looked up when the process starts:
 * whoever wants others than the system's sets LD_LIBRARY_PATH and VK_DRIVER_FILES before that.
 */

/** Dawn aborts the process when the entry point is collected. */
let kept: GPU | undefined;

/** The entry point, as a browser has it in `navigator.gpu`; rejects where the package has no binary for this machine. */
export async function loadDawn(): Promise<GPU> {
  if (kept) return kept;
  const { create, globals } = await import("webgpu");
  // The engine takes constants (GPUBufferUsage, GPUMapMode) from where browsers have them.
  Object.assign(globalThis, globals);
  kept = create([]);
  return kept;
}
