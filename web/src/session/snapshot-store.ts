/** An observable snapshot, rebuilt only when someone looks. */

/** Holds a value that is built from parts when one of them has changed. */
export class SnapshotStore<T> {
  readonly #build: () => T;
  readonly #listeners = new Set<() => void>();
  #value: T | null = null;
  #notifying = false;

  constructor(build: () => T) {
    this.#build = build;
  }

  /** The present value; the same object until something changed. */
  get(): T {
    this.#value ??= this.#build();
    return this.#value;
  }

  /** Something changed. Listeners hear of many changes in one task once. */
  changed(): void {
    this.#value = null;
    if (this.#notifying) return;
    this.#notifying = true;
    queueMicrotask(() => {
      this.#notifying = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }

  /** Call back after each change; returns the way to stop. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
