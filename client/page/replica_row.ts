/** One replica in the operator's table: made once, then only what changed is written. */

import type { ReplicaView } from "../../shared/run_view.ts";
import { make, setText } from "./dom.ts";
import { decimal, duration, percent, short, whole } from "./format.ts";
import { StalenessBars } from "./staleness_bars.ts";
import { codecsOf, lossOf, wayOf } from "./travel.ts";

const BACKENDS: Record<ReplicaView["backend"], string> = {
  webgpu: "WebGPU",
  wasm: "WASM",
  hybrid: "WebGPU and WASM",
  none: "no backend",
};

export class ReplicaRow {
  readonly element = make("tr");
  readonly #id = make("span");
  readonly #presence = make("i", "presence");
  readonly #device = make("span", "device");
  readonly #backend = make("span", "small");
  readonly #group = numberCell("Group", "if-groups");
  readonly #work = numberCell("Steps × images", "if-work");
  readonly #speed = numberCell("Images/s");
  readonly #samples = numberCell("Images");
  readonly #share = numberCell("Share");
  readonly #exchanges = numberCell("Exchanges");
  readonly #applied = numberCell("Applied");
  readonly #refused = numberCell("Refused");
  readonly #waited = numberCell("Waited", "if-waits");
  readonly #way = make("span", "way");
  readonly #codecs = make("span", "small");
  readonly #staleness = numberCell("Staleness: mean · p50 · p99 · max");
  readonly #bars = new StalenessBars();

  constructor() {
    const head = make("th");
    head.scope = "row";
    head.append(this.#presence, this.#id);
    const device = make("td", "full");
    device.dataset["label"] = "Device";
    device.append(this.#device, this.#backend);
    const travel = make("td", "full if-travels");
    travel.dataset["label"] = "Travels by";
    travel.append(this.#way, this.#codecs);
    const bars = make("td", "wide full");
    bars.dataset["label"] = "Histogram";
    bars.append(this.#bars.element);
    this.#staleness.classList.add("full");
    this.element.append(
      head,
      device,
      this.#group,
      this.#work,
      this.#speed,
      this.#samples,
      this.#share,
      this.#exchanges,
      this.#applied,
      this.#refused,
      this.#waited,
      travel,
      this.#staleness,
      bars,
    );
  }

  show(replica: ReplicaView): void {
    const { staleness } = replica;
    this.element.className = replica.connected ? "" : "left";
    this.#presence.title = replica.connected ? "connected" : "left";
    setText(this.#id, replica.id);
    setText(this.#device, replica.device);
    setText(this.#backend, `${BACKENDS[replica.backend]}${replica.connected ? "" : ", left"}`);
    // Counted from 1 for people.
    setText(this.#group, groupWords(replica));
    const work = `${whole(replica.communicationPeriod)} × ${whole(replica.batchShare)}`;
    setText(this.#work, replica.connected ? work : "–");
    setText(this.#waited, duration(replica.heldSeconds));
    setText(this.#speed, replica.connected ? whole(replica.samplesPerSecond) : "–");
    setText(this.#samples, short(replica.samples));
    setText(this.#share, percent(replica.share));
    setText(this.#exchanges, whole(replica.exchanges));
    setText(this.#applied, whole(replica.applied));
    setText(this.#refused, whole(replica.refused));
    this.#refused.classList.toggle("some-refused", replica.refused > 0);
    setText(this.#way, wayOf(replica));
    setText(this.#codecs, [codecsOf(replica), lossOf(replica)].filter((words) => words !== "").join(" · "));
    setText(
      this.#staleness,
      `${decimal(staleness.mean, 1)} · ${decimal(staleness.p50, 0)} · ${decimal(staleness.p99, 0)} · ${decimal(staleness.max, 0)}`,
    );
    this.#bars.show(staleness);
  }
}

/** `shownIf`: the class of a column that is only there where it says something (replica_table.ts). */
function numberCell(label: string, shownIf = ""): HTMLTableCellElement {
  const cell = make("td", `number ${shownIf}`.trim());
  cell.dataset["label"] = label;
  return cell;
}

function groupWords({ group, averagesDirectly }: ReplicaView): string {
  if (group === null) return "–";
  return averagesDirectly ? `${whole(group + 1)}, direct` : whole(group + 1);
}
