/** A helper thread of the WASM backend in a browser: a Web Worker's entry, started by `helper_threads.ts`. */

import { help, type HelperSetup } from "../../shared/engine/wasm/threads/helper.ts";

self.addEventListener(
  "message",
  ({ data }: MessageEvent<HelperSetup>) => void help(data, () => self.postMessage("ready")),
  {
    once: true,
  },
);
