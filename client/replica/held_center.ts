/** A center that came another way than by a welcome: by HTTP, before the replica joined (SPEC D3). */

export interface HeldCenter {
  readonly incarnation: number;
  readonly version: number;
  /** Of the layout. */
  readonly values: Float32Array;
}
