/**
 * A finished run behind the operator's page, without a coordinator: its last view, its event log and those of the other runs of its folder,
 * and what can be taken home. Nothing can be ordered, nobody can join, and only whoever has the run's token sees anything.
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { RunView } from "../../shared/run_view.ts";
import { eventsOfRun, exportedAs } from "../operator/desk.ts";
import { listRuns } from "../operator/run_list.ts";
import { linksOf } from "./addresses.ts";
import { readClientFiles } from "./client_files.ts";
import { COMMON_HEADERS } from "./headers.ts";
import { OPERATOR_PREFIX, OperatorRoutes } from "./operator_routes.ts";
import { sendText } from "./send_text.ts";
import { sendFile } from "./served_file.ts";
import { listen, TIMEOUTS } from "./server.ts";
import { ViewTexts } from "./view_texts.ts";

export interface ReplayServerOptions {
  readonly runsFolder: string;
  /** Its name is that of its folder. */
  readonly view: RunView;
  readonly token: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly clientFolder: string;
  /** Where imported data sets lie, for exports. */
  readonly dataRoot: string;
  /** Told of our own bugs, in full. */
  readonly onFailure: (error: unknown) => void;
}

export interface ReplayServer {
  readonly url: string;
  close(): Promise<void>;
}

const REPLAYED =
  "This is the replay of a run: there is no coordinator that could be ordered. `drove serve --resume` goes on with it.";

export async function startReplayServer(options: ReplayServerOptions): Promise<ReplayServer> {
  const { runsFolder, view, host, dataRoot, onFailure } = options;
  const clientFiles = await readClientFiles(options.clientFolder);
  const folder = join(runsFolder, view.run);
  const routes = new OperatorRoutes(
    {
      token: options.token,
      obey: async () => ({ status: 409, answer: { problem: REPLAYED } }),
      runs: () => listRuns(runsFolder),
      eventsOf: (name) => eventsOfRun(runsFolder, name),
      export: (format) => exportedAs(format, () => ({ folder, dataRoot })),
    },
    new ViewTexts(() => view).operator,
  );
  const server = createServer(TIMEOUTS, (request, response) => {
    for (const [name, value] of Object.entries(COMMON_HEADERS))
      if (value !== undefined) response.setHeader(name, value);
    const [address = "/"] = (request.url ?? "/").split("?", 1);
    if (address.startsWith(OPERATOR_PREFIX)) {
      routes.handle(address.slice(OPERATOR_PREFIX.length), request, response).catch((error: unknown) => {
        onFailure(error);
        if (response.headersSent) response.destroy();
        else sendText(response, 500, "The replay failed; it says why in its log.\n");
      });
      return;
    }
    const file = isForOperators(address) ? clientFiles.get(address) : undefined;
    const isReading = request.method === "GET" || request.method === "HEAD";
    if (file !== undefined && isReading) sendFile(request, response, file);
    else sendText(response, isReading ? 404 : 405, "This run is only shown again; its page is at /operator.\n");
  });
  await listen(server, host, options.port);
  const { port } = server.address() as AddressInfo;
  const [url = ""] = linksOf("http", host, port);
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        routes.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The volunteer's page would look for a run to take part in. */
function isForOperators(address: string): boolean {
  return address === "/operator" || address.startsWith("/assets/");
}
