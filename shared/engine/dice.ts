/**
 * Random numbers that a kernel can make by itself, element by element, the same on every backend: a hash of what they are
 * for. Dropout and augmentation use them; a gradient finds its mask again instead of storing it.
 *
 * The hash is PCG's output function on 32 bits (O'Neill 2014; recommended for shaders by Jarzynski and Olano, JCGT 2020).
 */

/** A well-mixed word from a word. */
function mixed(word: number): number {
  const state = (Math.imul(word, 747_796_405) + 2_891_336_453) >>> 0;
  const shifted = ((state >>> ((state >>> 28) + 4)) ^ state) >>> 0;
  const product = Math.imul(shifted, 277_803_737) >>> 0;
  return ((product >>> 22) ^ product) >>> 0;
}

/**
 * The word for `element` at the `draw`-th gathering of a program with `seed`; `salt` tells purposes apart.
 * WGSL and AssemblyScript compute the same: mixed(element ^ mixed(draw ^ mixed(seed ^ mixed(salt)))).
 */
function randomWord(seed: number, draw: number, salt: number, element: number): number {
  return mixed((element ^ mixed((draw ^ mixed((seed ^ mixed(salt)) >>> 0)) >>> 0)) >>> 0);
}

/** In [0, 1), from the upper 24 bits, which f32 holds exactly. */
export function unitRandom(seed: number, draw: number, salt: number, element: number): number {
  return (randomWord(seed, draw, salt, element) >>> 8) * 2 ** -24;
}

/** The salt of augmentation; layers with dropout have 1, 2, 3, … */
const AUGMENTATION_SALT = 0;

export interface Augmentation {
  /** Zeros (after normalisation) that an image gains on each side before a crop of its own size is taken at random; 0: none. */
  readonly cropPadding: number;
  /** Half of the images are turned left to right. */
  readonly flip: boolean;
}

/** Where the `index`-th image of a batch is read from: shifted by (dy, dx) pixels, and from right to left where `flipped`. */
export function augmentationOf(
  { cropPadding, flip }: Augmentation,
  seed: number,
  draw: number,
  index: number,
): { readonly dy: number; readonly dx: number; readonly flipped: boolean } {
  const word = randomWord(seed, draw, AUGMENTATION_SALT, index);
  const places = 2 * cropPadding + 1;
  return {
    dx: ((word & 0xfff) % places) - cropPadding,
    dy: (((word >>> 12) & 0xfff) % places) - cropPadding,
    flipped: flip && word >>> 31 === 1,
  };
}
