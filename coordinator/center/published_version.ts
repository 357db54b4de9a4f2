/**
 * One version of the center as replicas hold it, in an area that stays as it is: the base of everybody who holds it. It is given up
 * when `versions.ts` drops it; a push that is on its way from it keeps the memory until it has ended.
 */

import { wholeOf, type Fragment } from "../../shared/wire/codec/codec.ts";
import type { CenterMemory } from "./center_memory.ts";
import { broken } from "./center_checks.ts";
import type { CenterSlot, ClaimedPlace, Place } from "./slot.ts";

export interface PublishedVersion {
  /** The center's when the publication began: a base version. */
  readonly version: number;
  /** False once it has been dropped; it then has no values any more. */
  readonly isKept: boolean;
  /** f32, in the center's memory: to be copied before the version may be dropped. */
  values(fragment?: Fragment): Uint8Array;
  /** A base for pushes, several at once, that no answer is written into. */
  open(): CenterSlot;
}

export class Publication implements PublishedVersion {
  readonly version: number;
  readonly area: number;
  /** Grows when the center is restored: changes lead only to versions of the same era. */
  readonly era: number;
  readonly #memory: CenterMemory;
  #holders = 0;
  #inFlight = 0;
  #isKept = true;

  constructor(
    memory: CenterMemory,
    options: { readonly version: number; readonly area: number; readonly era: number },
  ) {
    this.#memory = memory;
    this.version = options.version;
    this.area = options.area;
    this.era = options.era;
  }

  get isKept(): boolean {
    return this.#isKept;
  }

  get isHeld(): boolean {
    return this.#holders > 0 || this.#inFlight > 0;
  }

  values(fragment: Fragment = wholeOf(this.#memory.elements)): Uint8Array {
    this.#checkKept();
    return this.#memory.bytes(this.area).subarray(4 * fragment.fromElement, 4 * fragment.toElement);
  }

  open(): CenterSlot {
    this.#checkKept();
    this.#holders++;
    return new PublishedSlot(this);
  }

  letGo(): void {
    this.#holders--;
  }

  begin(): boolean {
    if (!this.#isKept) return false;
    this.#inFlight++;
    return true;
  }

  end(): void {
    this.#inFlight--;
    this.#returnWhenDone();
  }

  drop(): void {
    this.#isKept = false;
    this.#returnWhenDone();
  }

  #returnWhenDone(): void {
    if (!this.#isKept && this.#inFlight === 0) this.#memory.returnArea(this.area);
  }

  #checkKept(): void {
    if (!this.#isKept) throw broken(`version ${this.version} was read after it had been dropped`);
  }
}

export class PublishedSlot implements CenterSlot, Place, ClaimedPlace {
  readonly isOwn = false;
  readonly #publication: Publication;
  #isOpen = true;

  constructor(publication: Publication) {
    this.#publication = publication;
  }

  get area(): number {
    return this.#publication.area;
  }

  bytes(): Uint8Array {
    return this.#publication.values();
  }

  begin(): this | undefined {
    if (!this.#isOpen) throw broken("a closed slot was used");
    return this.#publication.begin() ? this : undefined;
  }

  end(): void {
    this.#publication.end();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#publication.letGo();
  }
}
