/** A run of the fixture behind a real server on a free port. */

import { rm } from "node:fs/promises";
import { start } from "../../coordinator/server/server.ts";
import { makeClientFolder } from "../null/server_harness.ts";
import type { RunFixture } from "./run_fixture.ts";

export interface ServedFixture {
  readonly fixture: RunFixture;
  readonly url: string;
  close(): Promise<void>;
}

export async function serveFixture(fixture: RunFixture): Promise<ServedFixture> {
  const clientFolder = await makeClientFolder();
  const server = await start({
    run: fixture.run,
    host: "127.0.0.1",
    port: 0,
    tls: null,
    clientFolder,
    shards: [],
    onFailure: (error) => fixture.failures.push(error),
  });
  return {
    fixture,
    url: server.url,
    close: async () => {
      await server.close();
      await fixture.close();
      await rm(clientFolder, { recursive: true });
    },
  };
}
