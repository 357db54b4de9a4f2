/** The network of most experiments: small enough that a step takes well below a millisecond, hard enough that solvers differ. */

import type { ModelDescription } from "../../shared/model/model.ts";

/** 784-64-10 on MNIST: 50,890 parameters. */
export const SMALL_MLP: ModelDescription = {
  name: "mlp-64",
  input: { height: 28, width: 28, channels: 1 },
  classes: 10,
  layers: [
    { kind: "dense", name: "fc1", units: 64 },
    { kind: "relu", name: "relu1" },
    { kind: "dense", name: "fc2", units: 10 },
  ],
};
