/** One size of center: both raw echoes, and Drove's exchange in every codec over both paths, measured in turn. */

import type { CodecName } from "../../../shared/wire/codec/codec.ts";
import { COPIES } from "./copies.ts";
import { exchangersFor, PATHS, type Exchanger, type Path } from "./exchanger.ts";
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
  const blockExchanges = megabytes > 10 ? large : megabytes > 1 ? middle : small;
  const share = path === "websocket" ? 1 : 1.5;
  return {
    warmUpMs: isQuick ? 300 : 1000,
    warmUpExchanges: 60,
    rounds: isQuick ? 4 : 40,
    blockExchanges,
    limitMs: (isQuick ? 400 : 3000) * share * parties,
  };
}

export async function measureSize(size: Size, codecs: readonly CodecName[], isQuick: boolean): Promise<SizeReport> {
  const bytes = 4 * size.layout.elements;
  const vector = vectorOfSize(size.layout.elements);
  const exchangers = new Map<CodecName, ReadonlyMap<Path, Exchanger>>();
  const raws = new Map<Path, Party>();
  try {
    raws.set("websocket", await rawSocket(vector));
    raws.set("webrtc", await rawChannel(vector));
    for (const codec of ["f32", ...codecs] as const) exchangers.set(codec, await exchangersFor(size, codec, vector));
    const measured = new Map<Path, Map<string, Measured>>();
    for (const path of PATHS) {
      const parties = new Map<string, Party>([["raw", found(raws, path)]]);
      for (const [codec, byPath] of exchangers) parties.set(codec, found(byPath, path));
      measured.set(path, await measureInTurn(parties, effortFor(path, bytes, isQuick, parties.size)));
    }
    const of = (path: Path, party: string): Measured => found(found(measured, path), party);
    const pathReport = (path: Path): PathReport => {
      const [ours, raw] = [of(path, "f32"), of(path, "raw")];
      const { exchangeMs, cpuMs } = ours;
      return { exchangeMs, rawMs: raw.exchangeMs, ratio: ratioOf(ours, raw), cpuMs, rawCpuMs: raw.cpuMs };
    };
    const codecReport = (codec: CodecName): CodecReport => {
      const { bytesUp, bytesDown, exchanges } = found(found(exchangers, codec), "websocket").sent;
      const times = (path: Path): CodecReport["websocket"] => {
        const { exchangeMs, cpuMs } = of(path, codec);
        return { exchangeMs, cpuMs };
      };
      return {
        codec,
        bytesUp: bytesUp / exchanges,
        bytesDown: bytesDown / exchanges,
        websocket: times("websocket"),
        webrtc: times("webrtc"),
      };
    };
    return {
      bytes,
      websocket: pathReport("websocket"),
      webrtc: pathReport("webrtc"),
      copies: { websocket: copiesOf("websocket"), webrtc: copiesOf("webrtc") },
      codecs: codecs.map(codecReport),
    };
  } finally {
    for (const byPath of exchangers.values()) for (const exchanger of byPath.values()) await exchanger.close();
    for (const raw of raws.values()) await raw.close();
  }
}

function copiesOf(path: Path): { readonly ours: number; readonly raw: number } {
  const of = COPIES.filter((copy) => copy.path === path);
  return { ours: of.reduce((sum, { ours }) => sum + ours, 0), raw: of.reduce((sum, { raw }) => sum + raw, 0) };
}

function found<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`invariant violation: ${String(key)} was not measured`);
  return value;
}
