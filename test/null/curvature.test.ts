import { expect, test } from "vitest";
import { loadDataset } from "../../coordinator/data/library.ts";
import { readConfig } from "../../coordinator/run_config.ts";
import { greatestCurvature } from "../../coordinator/stability/curvature.ts";
import { refuseUnstable, stabilityWarnings } from "../../coordinator/stability/stability_check.ts";
import { layoutOf } from "../../shared/model/layout.ts";
import { MODELS } from "../../shared/model/catalogue.ts";
import { Random } from "../../shared/random.ts";

const nowMs = (): number => performance.now();

test("Power iteration finds the greatest eigenvalue of a quadratic, and leaves what is not trained alone", async () => {
  const eigenvalues = [0.5, 7, 3, 100];
  const seen: number[] = [];
  const curvature = await greatestCurvature(
    {
      gradientAt: async (x) => {
        seen.push(x[3]!);
        return Float32Array.from(x, (value, index) => value * eigenvalues[index]!);
      },
    },
    {
      parameters: Float32Array.from([1, -2, 0.5, 4]),
      trainableElements: 3,
      iterations: 20,
      random: new Random(5),
      mayGoOn: () => true,
    },
  );
  expect(curvature).toBeGreaterThan(6.99);
  expect(curvature).toBeLessThan(7.01);
  expect(new Set(seen)).toEqual(new Set([4]));
});

test("A step size that diverges on MNIST is named with its bound before the run, one that trains is not", async () => {
  const dataset = await loadDataset("unused", "mnist");
  const layout = layoutOf(MODELS.mlp);
  const warningsAt = (learningRate: number): Promise<readonly string[]> => {
    const config = readConfig({ flags: { model: "mlp", solver: "async-sgd", learningRate } });
    return stabilityWarnings({ config, layout, dataset, replicas: 4, nowMs });
  };
  expect(await warningsAt(0.01)).toEqual([]);
  const [sentence] = await warningsAt(5);
  expect(sentence).toMatch(
    /--learning-rate 5 breaks its bound of stability, 0\.\d+ \(at 1\/6 of the greatest curvature/,
  );
});

test("A moving rate that no loss makes stable is refused with the bound", () => {
  const config = readConfig({ flags: { exchange: "two-round-trip", movingRate: 0.5, solver: "async-easgd" } });
  expect(() => refuseUnstable(config, 8)).toThrow(
    /--moving-rate is 0\.5, which is unstable with 8 replicas.*bound is 0\.2/,
  );
  expect(() => refuseUnstable(config, 2)).not.toThrow();
});
