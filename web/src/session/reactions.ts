/** Reactions that fade after five seconds. */
import type { Snapshot } from "./api";

type Reaction = Snapshot["reactions"][number];

const LIFETIME_MS = 5_000;

/** The reactions that are to be seen now. */
export class Reactions {
  readonly #changed: () => void;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #list: readonly Reaction[] = [];
  #count = 0;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Oldest first. */
  get list(): readonly Reaction[] {
    return this.#list;
  }

  /** Someone reacted. */
  show(personId: string, emoji: string): void {
    const reaction = { id: String(++this.#count), personId, emoji };
    this.#list = [...this.#list, reaction];
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#list = this.#list.filter(({ id }) => id !== reaction.id);
      this.#changed();
    }, LIFETIME_MS);
    this.#timers.add(timer);
    this.#changed();
  }

  /** The meeting is over. */
  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#list = [];
  }
}
