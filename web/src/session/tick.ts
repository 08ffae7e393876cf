/** Work that happens at once when it is rare, and at a tick when it is not. */

/** Runs an action at most once in each interval, never losing the last request. */
export class Tick {
  readonly #intervalMs: number;
  readonly #action: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wanted = false;

  constructor(intervalMs: number, action: () => void) {
    this.#intervalMs = intervalMs;
    this.#action = action;
  }

  /** Run now, or when the interval since the last run is over. */
  request(): void {
    if (this.#timer !== undefined) {
      this.#wanted = true;
      return;
    }
    this.#timer = setTimeout(() => this.#over(), this.#intervalMs);
    this.#action();
  }

  /** Drop what is wanted. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wanted = false;
  }

  #over(): void {
    this.#timer = undefined;
    if (!this.#wanted) return;
    this.#wanted = false;
    this.request();
  }
}
