/** What kept a model from being tried: a sentence for the person who tries, with the fix. */

export class TrialError extends Error {}
