/**
 * What the benchmark puts into the volunteer's page, before the page's own code: tells phases, first step and long tasks over a
 * WebSocket, and presses what it is asked to. A debugger would see the same, but slows the network down tenfold (DESIGN §8).
 * Whatever is told has the time in milliseconds since 1970, which the benchmark has too.
 */

const socket = new WebSocket(`ws://127.0.0.1:${new URLSearchParams(location.search).get("probe") ?? ""}`);
const unsent: string[] = [];
socket.addEventListener("open", () => {
  for (const text of unsent.splice(0)) socket.send(text);
});

function tell(report: Readonly<Record<string, unknown>>): void {
  const text = JSON.stringify({ atMs: performance.timeOrigin + performance.now(), ...report });
  if (socket.readyState === WebSocket.OPEN) socket.send(text);
  else unsent.push(text);
}

tell({ kind: "opened", atMs: performance.timeOrigin });

new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) {
    tell({ kind: "long-task", atMs: performance.timeOrigin + startTime, durationMs: duration });
  }
}).observe({ type: "longtask", buffered: true });

interface Told {
  readonly kind: string;
  readonly phase?: string;
  readonly progress?: {
    readonly localSteps: number;
    readonly firstStep?: { readonly afterMs: number; readonly measuringMs: number };
  };
}

/** Of the page's workers, every message is heard. */
window.Worker = class extends Worker {
  constructor(url: string | URL, options?: WorkerOptions) {
    super(url, options);
    tell({ kind: "worker" });
    this.addEventListener("message", ({ data }: MessageEvent<Told>) => {
      if (data.kind === "phase") tell({ kind: "phase", phase: data.phase });
      if (data.kind !== "progress" || data.progress === undefined) return;
      const { localSteps, firstStep } = data.progress;
      tell({ kind: "progress", localSteps, ...(firstStep ? { firstStep } : {}) });
    });
  }
};

function show(): void {
  tell({ kind: "shown", phase: document.body.dataset["phase"] ?? "" });
}

document.addEventListener("DOMContentLoaded", () => {
  new MutationObserver(show).observe(document.body, { attributes: true, attributeFilter: ["data-phase"] });
  const start = document.querySelector("#start");
  if (start === null) return;
  const watch = new MutationObserver(() => {
    if (start.matches(":enabled")) tell({ kind: "startable" });
  });
  watch.observe(start, { attributes: true, attributeFilter: ["disabled"] });
});

interface Order {
  readonly press?: string;
  readonly set?: { readonly selector: string; readonly value: string };
}

socket.addEventListener("message", ({ data }: MessageEvent<string>) => {
  const { press, set } = JSON.parse(data) as Order;
  if (press !== undefined) {
    tell({ kind: "pressed", selector: press });
    document.querySelector<HTMLElement>(press)?.click();
  }
  if (set !== undefined) {
    const input = document.querySelector<HTMLInputElement>(set.selector);
    if (!input) return;
    input.value = set.value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
});
