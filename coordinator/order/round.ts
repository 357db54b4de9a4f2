/**
 * One round of a group (SPEC X15, G2 to G4): who is waited for, who has pushed, and whether the group may go on. Pure bookkeeping;
 * `grouped.ts` moves the center.
 */

export class Round<Member> {
  readonly beganMs: number;
  /** Waited for. */
  readonly #awaited: Set<Member>;
  readonly #arrived = new Set<Member>();

  constructor(awaited: Iterable<Member>, beganMs: number) {
    this.#awaited = new Set(awaited);
    this.beganMs = beganMs;
  }

  /** Those who are still waited for. */
  get awaited(): ReadonlySet<Member> {
    return this.#awaited;
  }

  /** Those who have pushed. */
  get arrived(): ReadonlySet<Member> {
    return this.#arrived;
  }

  /** True when somebody pushed and nobody is waited for. */
  get isComplete(): boolean {
    return this.#arrived.size > 0 && this.#awaited.size === 0;
  }

  /** A newcomer is waited for at once while nobody has pushed yet, else from the next round on. */
  join(member: Member): void {
    if (this.#arrived.size === 0) this.#awaited.add(member);
  }

  /** Waited for no longer. What it already pushed counts. */
  leave(member: Member): void {
    this.#awaited.delete(member);
  }

  push(member: Member): void {
    this.#awaited.delete(member);
    this.#arrived.add(member);
  }
}
