/** Delays between attempts: doubling from 0.5 s to 30 s, with jitter. */

const FIRST_MS = 500;
const LAST_MS = 30_000;

/**
 * Exponential back-off with jitter, so that a room full of clients does not
 * come back in one instant.
 */
export class Backoff {
  readonly #random: () => number;
  #attempt = 0;

  /** random: gives 0 <= n < 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds before the next attempt: 500 to 30,000. */
  next(): number {
    const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 10);
    return Math.max(FIRST_MS, ceiling * (0.5 + 0.5 * this.#random()));
  }

  /** Begin again from the shortest delay. */
  reset(): void {
    this.#attempt = 0;
  }

  /** A named delay, spread upwards by as much as a half. */
  spread(afterS: number): number {
    return afterS * 1000 * (1 + 0.5 * this.#random());
  }
}
