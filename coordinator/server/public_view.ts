/** What everybody may see of a run: its numbers, how many take part, and the names that volunteers offered (SPEC O1). */

import type { LeaderboardRow, PublicView, ReplicaView, RunView } from "../../shared/run_view.ts";

/** The same for everybody who asks. */
type SharedView = Omit<PublicView, "own">;

const LEADERBOARD_ROWS = 20;

export function publicViewOf(view: RunView): SharedView {
  const { replicas, changes: _changes, autotune: _autotune, refusals: _refusals, ...numbers } = view;
  const connected = replicas.filter((replica) => replica.connected).length;
  return { ...numbers, connected, left: replicas.length - connected, leaderboard: leaderboardOf(replicas) };
}

/** One's own row. The id is no secret, so it does not say on which device it is computed: its owner knows. */
export function ownRowOf(replica: ReplicaView | undefined): ReplicaView | null {
  return replica ? { ...replica, device: "" } : null;
}

/** All replicas of one name count together. */
function leaderboardOf(replicas: readonly ReplicaView[]): LeaderboardRow[] {
  const rows = new Map<string, LeaderboardRow>();
  for (const { name, samples, share, connected } of replicas) {
    if (name === null) continue;
    const row = rows.get(name) ?? { name, samples: 0, share: 0, connected: false };
    rows.set(name, {
      name,
      samples: row.samples + samples,
      share: row.share + share,
      connected: row.connected || connected,
    });
  }
  return [...rows.values()].toSorted((a, b) => b.samples - a.samples).slice(0, LEADERBOARD_ROWS);
}
