/** On what a replica computes, and what may be asked for, by the names that settings, messages and views use. */

/** `hybrid`: a GPU and a CPU of one volunteer, which share every batch (engine/hybrid/). */
const BACKEND_NAMES = ["webgpu", "wasm", "hybrid"] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

/** `auto` measures them and takes the fastest. */
export const BACKEND_WISHES = ["auto", ...BACKEND_NAMES] as const;
export type BackendWish = (typeof BACKEND_WISHES)[number];

export function isBackendWish(name: string | null): name is BackendWish {
  return BACKEND_WISHES.some((wish) => wish === name);
}

/** Of a participant that only watches the wire there is none. */
export const REPORTED_BACKENDS = [...BACKEND_NAMES, "none"] as const;
export type ReportedBackend = (typeof REPORTED_BACKENDS)[number];
