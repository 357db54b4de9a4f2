/**
 * Thins out a stream of values for the eye: the first is shown at once, later ones at most every `intervalMs`, and the
 * last one always.
 */

const INTERVAL_MS = 250;

export function latest<T>(show: (value: T) => void, intervalMs = INTERVAL_MS): (value: T) => void {
  let waiting: { readonly value: T } | undefined;
  let resting = false;
  const rest = (): void => {
    resting = true;
    setTimeout(() => {
      resting = false;
      if (waiting === undefined) return;
      const { value } = waiting;
      waiting = undefined;
      show(value);
      rest();
    }, intervalMs);
  };
  return (value) => {
    if (resting) {
      waiting = { value };
      return;
    }
    show(value);
    rest();
  };
}
