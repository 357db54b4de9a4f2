/** The ten digits as a person might draw them: strokes on a square of side 1, for pads and for what becomes of a drawing. */

import type { Point, Strokes } from "../../client/trial/digit.ts";

/** `turns` of a circle, from the angle `from` (0: to the right, clockwise). */
function arc(centreX: number, centreY: number, radiusX: number, radiusY: number, from: number, to: number): Point[] {
  const points = 24;
  return Array.from({ length: points + 1 }, (_, index) => {
    const angle = 2 * Math.PI * (from + ((to - from) * index) / points);
    return { x: centreX + radiusX * Math.cos(angle), y: centreY + radiusY * Math.sin(angle) };
  });
}

/** Straight lines through x1, y1, x2, y2, … */
function line(...numbers: readonly number[]): Point[] {
  return Array.from({ length: numbers.length / 2 }, (_, index) => ({
    x: numbers[2 * index] ?? 0,
    y: numbers[2 * index + 1] ?? 0,
  }));
}

/** By digit. */
export const DIGIT_STROKES: readonly Strokes[] = [
  [arc(0.5, 0.5, 0.22, 0.34, -0.25, 0.75)],
  [line(0.54, 0.16, 0.47, 0.84)],
  [[...arc(0.5, 0.33, 0.2, 0.18, -0.55, 0.08), ...line(0.3, 0.8, 0.74, 0.78)]],
  [[...arc(0.46, 0.33, 0.2, 0.17, -0.4, 0.25), ...arc(0.46, 0.66, 0.22, 0.17, -0.25, 0.4)]],
  [line(0.36, 0.16, 0.3, 0.52, 0.7, 0.5), line(0.64, 0.2, 0.6, 0.86)],
  [[...line(0.68, 0.17, 0.38, 0.18, 0.35, 0.46), ...arc(0.48, 0.63, 0.21, 0.19, -0.25, 0.4)]],
  [[...line(0.62, 0.14, 0.42, 0.36), ...arc(0.49, 0.64, 0.17, 0.18, 0.5, 1.55)]],
  [line(0.28, 0.2, 0.7, 0.2, 0.46, 0.84)],
  [[...arc(0.5, 0.33, 0.15, 0.16, 0.25, -0.75), ...arc(0.5, 0.67, 0.18, 0.18, -0.25, 0.75)]],
  [[...arc(0.48, 0.34, 0.17, 0.17, 0, 1), ...line(0.65, 0.34, 0.6, 0.86)]],
];
