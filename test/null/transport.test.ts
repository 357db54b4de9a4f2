/**
 * Real replicas that train on WASM and reach a real server over real sockets and data channels, all in this process: which way their
 * exchanges take, and that none is lost or counted twice when a channel fails in the middle of one.
 */

import { rm } from "node:fs/promises";
import { afterEach, describe, expect, test } from "vitest";
import { Coordinator } from "../../client/node/coordinator.ts";
import { nodePeers } from "../../client/node/node_peer.ts";
import { connectBySocket } from "../../client/node/socket_link.ts";
import type { OpenPeer, PeerPort } from "../../client/replica/peer_port.ts";
import type { ChannelFaults } from "../../coordinator/server/peers.ts";
import { start, type RunningServer } from "../../coordinator/server/server.ts";
import type { RunSettings } from "../../shared/run_settings.ts";
import type { ReplicaView } from "../../shared/run_view.ts";
import { LiveRun } from "../support/live_replicas.ts";
import { makeClientFolder } from "./server_harness.ts";

const openPeer = nodePeers((sentence) => {
  throw new Error(sentence);
});
const REACTION_TIMEOUT_MS = 40_000;
const TICK_MS = 50;

/** A live run behind a server. */
class ServedLiveRun {
  readonly live: LiveRun;
  readonly #server: RunningServer;
  readonly #clientFolder: string;
  readonly #ticker: NodeJS.Timeout;
  readonly #failures: unknown[];
  readonly #ended: Promise<unknown>[] = [];

  private constructor(live: LiveRun, server: RunningServer, clientFolder: string, failures: unknown[]) {
    this.live = live;
    this.#server = server;
    this.#clientFolder = clientFolder;
    this.#failures = failures;
    this.#ticker = setInterval(() => live.run.tick(), TICK_MS);
  }

  static async create(settings: Partial<RunSettings>, channelFaults: ChannelFaults = {}): Promise<ServedLiveRun> {
    const live = await LiveRun.create(settings);
    const clientFolder = await makeClientFolder();
    const failures: unknown[] = [];
    const onFailure = (error: unknown): void => void failures.push(error);
    const server = await start({
      run: live.run,
      host: "127.0.0.1",
      port: 0,
      tls: null,
      clientFolder,
      shards: [],
      channelFaults,
      onFailure,
    });
    return new ServedLiveRun(live, server, clientFolder, failures);
  }

  async join(peers: OpenPeer | undefined = openPeer): Promise<void> {
    const connect = connectBySocket(new Coordinator(new URL(this.#server.url), undefined));
    const { ended } = await this.live.join(1, { connect, ...(peers ? { openPeer: peers } : {}) });
    this.#ended.push(ended);
  }

  get replica(): ReplicaView | undefined {
    return this.live.run.view().replicas[0];
  }

  async until(holds: (replica: ReplicaView) => boolean): Promise<ReplicaView> {
    await expect
      .poll(() => this.replica !== undefined && holds(this.replica), { timeout: REACTION_TIMEOUT_MS })
      .toBe(true);
    return this.replica!;
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker);
    this.live.run.finish("stopped", "The test is over.");
    await Promise.all(this.#ended);
    await this.#server.close();
    await this.live.close();
    await rm(this.#clientFolder, { recursive: true });
    expect(this.#failures).toEqual([]);
    // SPEC X12: settled once each, and none left out.
    const exchanges = this.live.ledger.map(({ exchange }) => exchange);
    expect(exchanges).toEqual(exchanges.map((_, at) => at + 1));
    expect(new Set(this.live.ledger.map(({ verdict }) => verdict))).toEqual(new Set(["applied"]));
  }
}

let served: ServedLiveRun | undefined;
afterEach(async () => {
  await served?.close();
  served = undefined;
});

describe("A run with --transport webrtc", () => {
  test("[T2] exchanges over its data channel alone, and learns", async () => {
    served = await ServedLiveRun.create({ transport: "webrtc" });
    await served.join();
    const replica = await served.until(({ applied }) => applied >= 20);
    expect(replica.transport).toBe("webrtc");
    expect(replica.channelPushes).toBeGreaterThanOrEqual(replica.exchanges);
    expect(await served.live.accuracy()).toBeGreaterThan(0.7);
  });

  test("[T5] whose channel falls silent in the middle of an exchange repeats it over the WebSocket, and tries the channel again", async () => {
    let isMuted = false;
    served = await ServedLiveRun.create({ transport: "webrtc" }, { isMuted: () => isMuted });
    await served.join();
    await served.until(({ channelPushes }) => channelPushes >= 3);
    isMuted = true;
    // Whatever it pushes now gets nowhere.
    const { applied } = await served.until(({ transport }) => transport === "websocket");
    const { channelPushes } = await served.until((replica) => replica.applied >= applied + 3);
    isMuted = false;
    const again = await served.until(
      (replica) => replica.transport === "webrtc" && replica.channelPushes > channelPushes + 2,
    );
    // By the WebSocket in between.
    expect(again.exchanges).toBeGreaterThan(again.channelPushes);
  });

  test.each<readonly [string, Partial<RunSettings>]>([
    ["in f32", {}],
    ["in codecs, of published versions", { codecUp: "int4", codecDown: "int8" }],
    ["in fragments", { codecUp: "int8", fragments: 4 }],
    ["in two round trips", { exchange: "two-round-trip" }],
  ])(
    "[T5] [X12] whose connection is cut again and again in the middle of exchanges %s loses and doubles none",
    async (_how, changes) => {
      const attempts: { readonly port: PeerPort; readonly tell: (reason: string) => void }[] = [];
      served = await ServedLiveRun.create({ transport: "webrtc", communicationPeriod: 4, ...changes });
      await served.join((wishes) => {
        const port = openPeer(wishes);
        attempts.push({ port, tell: wishes.closed });
        return port;
      });
      for (let cuts = 0; cuts < 2; cuts++) {
        const { channelPushes } = await served.until(({ transport }) => transport === "webrtc");
        await served.until((replica) => replica.channelPushes >= channelPushes + 2);
        attempts.at(-1)!.port.close();
        // As a connection that fails does.
        attempts.at(-1)!.tell("cut");
        await served.until(({ transport }) => transport === "websocket");
      }
      const { applied } = served.replica!;
      const { exchanges } = await served.until((replica) => replica.applied >= applied + 3);
      expect(attempts.length).toBeGreaterThanOrEqual(2);
      expect(served.live.ledger.length).toBeGreaterThanOrEqual(exchanges);
    },
  );

  test("[T5] where WebRTC does not exist, or does not connect, exchanges by WebSocket", async () => {
    served = await ServedLiveRun.create({ transport: "webrtc" });
    await served.join(() => {
      throw new Error("There is no WebRTC here.");
    });
    const replica = await served.until(({ applied }) => applied >= 5);
    expect([replica.transport, replica.channelPushes]).toEqual(["websocket", 0]);
  });

  test("[T5] whose signals lead nowhere begins over the WebSocket after a few seconds", async () => {
    served = await ServedLiveRun.create({ transport: "webrtc" });
    await served.join((options) => openPeer({ ...options, signal: () => {} }));
    const replica = await served.until(({ applied }) => applied >= 5);
    expect([replica.transport, replica.channelPushes]).toEqual(["websocket", 0]);
  });
});

test("[T3] A run with --transport auto measures both ways and trains by one of them", async () => {
  served = await ServedLiveRun.create({ transport: "auto" });
  await served.join();
  const replica = await served.until(({ applied }) => applied >= 40);
  expect(["websocket", "webrtc"]).toContain(replica.transport);
});

test("[T6] A lossy run with 5 % of its slices dropped says so and learns all the same", async () => {
  let slices = 0;
  const faults = { losesSlice: () => ++slices % 20 === 0 };
  served = await ServedLiveRun.create({ transport: "webrtc", lossy: true, codecUp: "int8" }, faults);
  await served.join();
  const replica = await served.until(({ applied }) => applied >= 30);
  expect(replica.transport).toBe("webrtc-lossy");
  expect(replica.channelPushes).toBeGreaterThanOrEqual(replica.exchanges);
  expect(replica.sliceLossRate).toBeGreaterThan(0.03);
  expect(await served.live.accuracy()).toBeGreaterThan(0.7);
});
