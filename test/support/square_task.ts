/** A task for the pool of threads of a reproduction: a square, after a while of work. */

export default function square({ value, delayMs }: { readonly value: number; readonly delayMs: number }): number {
  const end = performance.now() + delayMs;
  while (performance.now() < end);
  return value * value;
}
