/** The model card's sections on who trained, how stale their contributions were, and what travelled. */

import { count, duration, megabytes, percent, quoted, stalenessBars, table } from "./card_text.ts";
import type { ReplicaFacts, RunFacts } from "./run_facts.ts";

/** Classes of devices; what is rarer is counted together. */
const MOST_CLASSES = 20;

export function crowdSections(facts: RunFacts): string[] {
  return [participants(facts), staleness(facts), exchanges(facts)];
}

function participants({ replicas }: RunFacts): string {
  if (replicas.length === 0) return "## Who trained it\n\nNobody has yet.";
  const names = [...new Set(replicas.flatMap(({ name }) => (name === null ? [] : [name])))].toSorted();
  return [
    "## Who trained it",
    `${replicas.length === 1 ? "One replica" : `${count(replicas.length)} replicas`} in all. A replica is a browser tab, or a volunteer's process without a browser; one volunteer may have had several, one after the other or at once.`,
    table(["Backend", "Device", "Replicas", "Samples"], deviceClasses(replicas)),
    names.length === 0
      ? "Nobody offered a name."
      : `These volunteers offered their names: ${names.map(quoted).join(", ")}. Thank you, and thanks to all who did not.`,
  ].join("\n\n");
}

function deviceClasses(replicas: readonly ReplicaFacts[]): string[][] {
  const classes = new Map<string, { backend: string; device: string; replicas: number; samples: number }>();
  for (const { backend, device, samples } of replicas) {
    const key = JSON.stringify([backend, device]);
    const known = classes.get(key) ?? { backend, device, replicas: 0, samples: 0 };
    classes.set(key, { ...known, replicas: known.replicas + 1, samples: known.samples + samples });
  }
  const sorted = [...classes.values()].toSorted((a, b) => b.samples - a.samples);
  const rest = sorted.splice(MOST_CLASSES);
  const rows = sorted.map((each) => [each.backend, quoted(each.device), count(each.replicas), count(each.samples)]);
  if (rest.length === 0) return rows;
  const sum = (of: "replicas" | "samples"): number => rest.reduce((total, each) => total + each[of], 0);
  return [...rows, ["others", `${rest.length} more kinds`, count(sum("replicas")), count(sum("samples"))]];
}

function staleness({ staleness: { mean, p50, p99, max, counts } }: RunFacts): string {
  return [
    "## Staleness",
    "By how many moves of the center a contribution was behind when it was applied.",
    table(["Mean", "Median", "99th percentile", "Most"], [[mean.toFixed(2), String(p50), String(p99), String(max)]]),
    ...(counts.length === 0 ? [] : [`\`\`\`text\n${stalenessBars(counts)}\n\`\`\``]),
  ].join("\n\n");
}

function exchanges(facts: RunFacts): string {
  const { applied, refused, refusals, samples, seconds, epochs, bytesUp, bytesDown } = facts;
  const rate = seconds > 0 ? ` (${count(samples / seconds)} a second)` : "";
  const pushes = applied + refused;
  const rows = [
    ["Exchanges applied", count(applied)],
    ["Exchanges refused", `${count(refused)} (${percent(pushes === 0 ? 0 : refused / pushes)})`],
    ["Samples", `${count(samples)}${rate}`],
    ["Times through the whole training set", epochs === null ? "-" : count(epochs)],
    ["Time", duration(seconds)],
    ["Sent by replicas", megabytes(bytesUp)],
    ["Sent to replicas", megabytes(bytesDown)],
  ];
  const codes = Object.entries(refusals).toSorted(([, a], [, b]) => b - a);
  const reasons = codes.map(([code, times]) => `${quoted(code)} ${count(times)}`).join(", ");
  return [
    "## Exchanges, time and traffic",
    table(["", ""], rows),
    ...(codes.length === 0 ? [] : [`Refusals of every kind, by code: ${reasons}.`]),
  ].join("\n\n");
}
