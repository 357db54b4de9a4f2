/** Every metric of the service with its unit and kind: reading this page tells what an operator can watch. */

export const METRICS = {
  centerVersion: { name: "drove_center_version", kind: "gauge", help: "Completed applies since the run began." },
  incarnation: { name: "drove_incarnation", kind: "gauge", help: "Starts of this run's coordinator." },
  replicas: { name: "drove_replicas_connected", kind: "gauge", help: "Replicas connected now." },
  exchanges: { name: "drove_exchanges_total", kind: "counter", help: "Pushes received, retries not counted." },
  applied: { name: "drove_applies_total", kind: "counter", help: "Pushes that moved the center." },
  repeated: { name: "drove_repeated_pushes_total", kind: "counter", help: "Retries answered from the last answer." },
  overlapped: {
    name: "drove_overlapped_applies_total",
    kind: "counter",
    help: "Applies that ran at the same time as another.",
  },
  refusals: { name: "drove_refusals_total", kind: "counter", help: "Refusals by code.", labels: ["code"] },
  staleness: { name: "drove_staleness_versions", kind: "histogram", help: "Staleness of applied pushes, in versions." },
  heldSeconds: {
    name: "drove_push_held_seconds_total",
    kind: "counter",
    help: "Seconds that pushes of all replicas waited for their answers.",
  },
  groups: {
    name: "drove_groups",
    kind: "gauge",
    help: "Compute groups that have members now; 0 in a run without groups.",
  },
  averagedRounds: {
    name: "drove_direct_rounds_total",
    kind: "counter",
    help: "Rounds that compute groups averaged over direct connections.",
  },
  fallenRounds: {
    name: "drove_direct_rounds_fallen_total",
    kind: "counter",
    help: "Rounds that were to be averaged so and went through the coordinator.",
  },
  samples: { name: "drove_samples_total", kind: "counter", help: "Training samples behind the applied pushes." },
  bytesUp: { name: "drove_received_bytes_total", kind: "counter", help: "Bytes of frames from replicas." },
  bytesDown: { name: "drove_sent_bytes_total", kind: "counter", help: "Bytes of frames to replicas." },
  slices: { name: "drove_slices_total", kind: "counter", help: "Slices of lossy pushes that were to come." },
  slicesLost: { name: "drove_slices_lost_total", kind: "counter", help: "Of them, those that did not come in time." },
  accuracy: { name: "drove_test_accuracy_ratio", kind: "gauge", help: "Newest held-out accuracy, 0 to 1." },
  trainLoss: { name: "drove_train_loss", kind: "gauge", help: "Mean loss of recent local steps." },
  checkpointSeconds: {
    name: "drove_checkpoint_seconds",
    kind: "gauge",
    help: "Seconds since the newest durable checkpoint.",
  },
} as const satisfies Record<
  string,
  { name: string; kind: "gauge" | "counter" | "histogram"; help: string; labels?: readonly string[] }
>;
