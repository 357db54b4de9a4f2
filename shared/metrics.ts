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
  targetAccuracy: {
    name: "drove_target_accuracy_ratio",
    kind: "gauge",
    help: "Accuracy at which the run ends; none in a run without.",
  },
  testLoss: { name: "drove_test_loss", kind: "gauge", help: "Mean loss of the newest held-out evaluation." },
  trainLoss: { name: "drove_train_loss", kind: "gauge", help: "Mean loss of recent local steps." },
  trainingSeconds: {
    name: "drove_training_seconds_total",
    kind: "counter",
    help: "Seconds since the first exchange, in all incarnations, pauses not counted.",
  },
  paused: { name: "drove_paused", kind: "gauge", help: "1 while the operator has everybody wait, else 0." },
  hidden: { name: "drove_replicas_hidden", kind: "gauge", help: "Connected replicas whose tab is in the background." },
  draining: {
    name: "drove_replicas_draining",
    kind: "gauge",
    help: "Connected replicas that were asked to complete their exchange and leave.",
  },
  backends: {
    name: "drove_backend_replicas",
    kind: "gauge",
    help: "Connected replicas by what they compute with.",
    labels: ["backend"],
  },
  dutyCycle: {
    name: "drove_duty_cycle_ratio",
    kind: "gauge",
    help: "Mean over connected replicas of the share of time in which their volunteers let them compute, 0 to 1.",
  },
  epoch: { name: "drove_epoch", kind: "gauge", help: "The oldest epoch that is not complete, from 1." },
  epochExamples: { name: "drove_epoch_examples", kind: "gauge", help: "Examples of an epoch." },
  epochLeased: {
    name: "drove_epoch_leased_examples",
    kind: "gauge",
    help: "Examples of that epoch that replicas have now.",
  },
  epochUsed: {
    name: "drove_epoch_used_examples",
    kind: "gauge",
    help: "Examples of that epoch that an exchange in the ledger used.",
  },
  learningRate: { name: "drove_learning_rate", kind: "gauge", help: "Learning rate before schedule and warm-up." },
  momentum: { name: "drove_momentum", kind: "gauge", help: "Momentum of the solver." },
  communicationPeriod: {
    name: "drove_communication_period_steps",
    kind: "gauge",
    help: "Local steps between a replica's exchanges (tau).",
  },
  changes: {
    name: "drove_setting_changes_total",
    kind: "counter",
    help: "Settings changed while the run went on, by operator or autotuner.",
    labels: ["by"],
  },
  info: {
    name: "drove_run_info",
    kind: "gauge",
    help: "Always 1; its labels say which run this is.",
    labels: ["run", "model", "data", "solver"],
  },
  checkpointSeconds: {
    name: "drove_checkpoint_seconds",
    kind: "gauge",
    help: "Seconds since the newest durable checkpoint.",
  },
} as const satisfies Record<
  string,
  { name: string; kind: "gauge" | "counter" | "histogram"; help: string; labels?: readonly string[] }
>;
