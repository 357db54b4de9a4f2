/** One size of center: both raw echoes, and Drove's exchange in every codec over both paths, measured in turn. */

import type { CodecName } from "../../../shared/wire/codec/codec.ts";
import { copiesBy } from "./copies.ts";
import { exchangerFor, type Exchanger, type Path } from "./exchanger.ts";
import { measureInTurn, ratioOf, type Effort, type Measured } from "./measure.ts";
import { vectorOfSize, type Party } from "./party.ts";
import { rawChannel, rawSocket } from "./raw_parties.ts";
import type { Size } from "./sizes.ts";

interface PathReport {
  readonly exchangeMs: number;
  readonly rawMs: number;
  /** Median over rounds of exchange over raw echo. */
  readonly ratio: number;
  /** Of client and coordinator together. */
  readonly cpuMs: number;
  readonly rawCpuMs: number;
}

interface CodecReport {
  readonly codec: CodecName;
  /** Of payloads. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly websocket: Pick<PathReport, "exchangeMs" | "cpuMs">;
  readonly webrtc: Pick<PathReport, "exchangeMs" | "cpuMs">;
}

export interface SizeReport {
  readonly bytes: number;
  readonly websocket: PathReport;
  readonly webrtc: PathReport;
  /** Of the vector, in one f32 exchange, there and back. */
  readonly copies: Readonly<Record<Path, { readonly ours: number; readonly raw: number }>>;
  readonly codecs: readonly CodecReport[];
}

/** By WebSocket small exchanges are many, so that as much time is measured as of large ones. WebRTC takes ten times as long. */
function effortFor(path: Path, bytes: number, isQuick: boolean, parties: number): Effort {
  const megabytes = bytes / 1e6;
  const [small, middle, large] = path === "websocket" ? [20, 8, 2] : [10, 2, 1];
  return {
    warmUpMs: isQuick ? 200 : 600,
    warmUpExchanges: 60,
    rounds: isQuick ? 4 : 40,
    blockExchanges: megabytes > 10 ? large : megabytes > 1 ? middle : small,
    limitMs: (isQuick ? 400 : 2200) * parties,
  };
}

/** What one path's parties came to, and what an exchange of each codec carries. */
interface PathMeasured {
  readonly times: ReadonlyMap<string, Measured>;
  readonly sent: ReadonlyMap<CodecName, Exchanger["sent"]>;
}

export async function measureSize(size: Size, codecs: readonly CodecName[], isQuick: boolean): Promise<SizeReport> {
  const paths = {
    websocket: await measurePath(size, "websocket", codecs, isQuick),
    webrtc: await measurePath(size, "webrtc", codecs, isQuick),
  };
  const times = (path: Path, party: string): Measured => found(paths[path].times, party);
  const pathReport = (path: Path): PathReport => {
    const [ours, raw] = [times(path, "f32"), times(path, "raw")];
    const { exchangeMs, cpuMs } = ours;
    return { exchangeMs, rawMs: raw.exchangeMs, ratio: ratioOf(ours, raw), cpuMs, rawCpuMs: raw.cpuMs };
  };
  const codecReport = (codec: CodecName): CodecReport => {
    const { bytesUp, bytesDown, exchanges } = found(paths.websocket.sent, codec);
    const costs = (path: Path): CodecReport["websocket"] => {
      const { exchangeMs, cpuMs } = times(path, codec);
      return { exchangeMs, cpuMs };
    };
    return {
      codec,
      bytesUp: bytesUp / exchanges,
      bytesDown: bytesDown / exchanges,
      websocket: costs("websocket"),
      webrtc: costs("webrtc"),
    };
  };
  return {
    bytes: 4 * size.layout.elements,
    websocket: pathReport("websocket"),
    webrtc: pathReport("webrtc"),
    copies: { websocket: copiesBy("websocket"), webrtc: copiesBy("webrtc") },
    codecs: codecs.map(codecReport),
  };
}

async function measurePath(
  size: Size,
  path: Path,
  codecs: readonly CodecName[],
  isQuick: boolean,
): Promise<PathMeasured> {
  const vector = vectorOfSize(size.layout.elements);
  const parties = new Map<string, Party>();
  const sent = new Map<CodecName, Exchanger["sent"]>();
  try {
    parties.set("raw", await (path === "websocket" ? rawSocket(vector) : rawChannel(vector)));
    for (const codec of ["f32", ...codecs] as const) {
      const exchanger = await exchangerFor(size, codec, path, vector);
      parties.set(codec, exchanger);
      sent.set(codec, exchanger.sent);
    }
    const times = await measureInTurn(parties, effortFor(path, vector.byteLength, isQuick, parties.size));
    return { times, sent };
  } finally {
    for (const party of parties.values()) await party.close();
  }
}

function found<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`invariant violation: ${String(key)} was not measured`);
  return value;
}
