/** The edits of one document that the server has not committed yet. */
import * as Y from "yjs";

interface Entry {
  readonly update: Uint8Array;
  /** How many edits of the user's are in it; 0 for a mere repetition. */
  readonly edits: number;
}

/**
 * Edits wait here from the moment they are made until the server says that
 * they are committed, so that `size` is what would be lost right now.
 *
 * Acknowledgements come in the order of sending, one for each message;
 * refusals come when they like.
 */
export class UnsavedQueue {
  #unsent: Entry[] = [];
  #sent: Entry[] = [];
  #refused: Entry[] = [];
  #careful = false;

  /** Edits that are not committed. */
  get size(): number {
    const sum = (entries: Entry[]) =>
      entries.reduce((total, entry) => total + entry.edits, 0);
    return sum(this.#unsent) + sum(this.#sent) + sum(this.#refused);
  }

  /** Edits that the server said it did not keep. */
  get hasRefused(): boolean {
    return this.#refused.length > 0;
  }

  /** An edit was made. */
  push(update: Uint8Array, edits = 1): void {
    this.#unsent.push({ update, edits });
    // A long time offline must not make each merge longer than the last.
    if (!this.#careful && this.#unsent.length > 100) this.#unsent = [merged(this.#unsent)];
  }

  /**
   * Take what waits as one message's update; null if nothing does.
   *
   * While careful, one entry at a time, and none while one is on its way.
   */
  take(): Uint8Array | null {
    if (this.#careful) return this.#takeOne();
    if (this.#unsent.length === 0) return null;
    const entry = merged(this.#unsent);
    this.#unsent = [];
    this.#sent.push(entry);
    return entry.update;
  }

  /**
   * Take everything not committed, and `repetition` (what the server seems to
   * lack), as one message for a new channel; null if there is nothing.
   *
   * What was sent is sent again: the server may have it in memory and yet not
   * on disk, and only an acknowledgement says which.
   */
  takeAll(repetition: Uint8Array | null): Uint8Array | null {
    if (this.#careful && this.size > 0) {
      // What is refused for good is offered last, and alone.
      this.#unsent = [...this.#sent, ...this.#unsent, ...this.#refused];
      this.#sent = [];
      this.#refused = [];
      return this.#takeOne();
    }
    // With no edit of ours known, what the server lacks is still one unsaved.
    const edits = this.size === 0 ? 1 : 0;
    this.#unsent = [
      ...(repetition === null ? [] : [{ update: repetition, edits }]),
      ...this.#refused,
      ...this.#sent,
      ...this.#unsent,
    ];
    this.#refused = [];
    this.#sent = [];
    return this.take();
  }

  /**
   * From now on send one entry at a time: a refusal does not say what it
   * refuses, and it may overtake the acknowledgements of what went before.
   */
  beCareful(): void {
    this.#careful = true;
  }

  /** Whether a refusal can be told to belong to one entry. */
  get isCareful(): boolean {
    return this.#careful;
  }

  /** The oldest message sent was committed, or refused. */
  settle(saved: boolean): void {
    const entry = this.#sent.shift();
    if (entry !== undefined && !saved) this.#refused.push(entry);
  }

  /** Everything not committed as one update; null if all is. */
  whole(): Uint8Array | null {
    const all = [...this.#refused, ...this.#sent, ...this.#unsent];
    return all.length === 0 ? null : merged(all).update;
  }

  /** Forget all of it (it was put away elsewhere). */
  clear(): void {
    this.#unsent = [];
    this.#sent = [];
    this.#refused = [];
    this.#careful = false;
  }

  #takeOne(): Uint8Array | null {
    if (this.#sent.length > 0) return null;
    const entry = this.#unsent.shift();
    if (entry === undefined) return null;
    this.#sent.push(entry);
    return entry.update;
  }
}

function merged(entries: readonly Entry[]): Entry {
  const [only] = entries;
  if (entries.length === 1 && only !== undefined) return only;
  return {
    update: Y.mergeUpdates(entries.map((entry) => entry.update)),
    edits: entries.reduce((total, entry) => total + entry.edits, 0),
  };
}
