/**
 * Two links joined by two queues, in place of a socket: the test decides what arrives and when, what is lost, what comes
 * twice, and when the cable is cut.
 */

import type { LinkEvents } from "../../client/replica/connection.ts";
import type { Link } from "../../shared/wire/link.ts";

class End implements Link {
  isOpen = false;
  /** Set by tests that pretend a slow network. */
  bufferedBytes = 0;
  closedWith: { readonly code: number; readonly reason: string } | undefined = undefined;
  readonly #outgoing: Uint8Array[];
  readonly #onClose: () => void;
  readonly #isTaken: (message: Uint8Array) => boolean;

  constructor(outgoing: Uint8Array[], isTaken: (message: Uint8Array) => boolean, onClose: () => void) {
    this.#isTaken = isTaken;
    this.#outgoing = outgoing;
    this.#onClose = onClose;
  }

  send(head: Uint8Array<ArrayBuffer>, ...payload: readonly Uint8Array[]): void {
    if (!this.isOpen) throw new Error("invariant violation: something was sent over a closed link");
    const message = new Uint8Array(Buffer.concat([head, ...payload]));
    if (!this.#isTaken(message)) this.#outgoing.push(message);
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
    this.#onClose();
  }
}

export class SocketPair {
  /** The replica's end and the coordinator's. */
  readonly near: End;
  readonly far: End;
  /** Sent and not yet arrived; a test may drop, copy and reorder. */
  readonly toFar: Uint8Array[] = [];
  readonly toNear: Uint8Array[] = [];
  readonly #events: LinkEvents;

  /** `isTaken`: what the replica sends and the test wants to have apart, not in the queue. */
  constructor(events: LinkEvents, isTaken: (message: Uint8Array) => boolean = () => false) {
    this.#events = events;
    this.near = new End(this.toFar, isTaken, () => this.#shut(1000));
    this.far = new End(
      this.toNear,
      () => false,
      () => this.#shut(this.far.closedWith?.code ?? 1000),
    );
  }

  open(): void {
    this.near.isOpen = true;
    this.far.isOpen = true;
    this.#events.opened();
  }

  /** Brings the next message of the coordinator to the replica; `times` 2 is a duplicate. */
  deliverToNear(times = 1): void {
    const message = this.toNear.shift();
    if (!message) throw new Error("nothing is on its way to the replica");
    for (let time = 0; time < times; time++) this.#events.received(message.slice());
  }

  /** The connection breaks; what was on its way is lost. */
  cut(): void {
    this.toFar.length = 0;
    this.toNear.length = 0;
    this.#shut(1006);
  }

  #shut(code: number): void {
    if (this.near.isOpen) {
      // What the coordinator said before it closed still arrives.
      while (this.toNear.length > 0 && this.near.isOpen) this.deliverToNear();
    }
    this.near.isOpen = false;
    this.far.isOpen = false;
    this.#events.closed(code, "");
  }
}
