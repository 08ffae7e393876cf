/** When and under which key one document's unsaved edits are kept. */
import * as Y from "yjs";
import {
  forkName,
  keptPrefix,
  type EditKeeper,
  type KeptEdits,
} from "./kept-edits";
import type { UnsavedQueue } from "./unsaved-queue";

/** Acknowledgements usually come sooner, and then nothing is written. */
const PATIENCE_MS = 300;

/** Whose edits they are. */
export interface EditOwner {
  readonly hubId: string;
  readonly id: string;
}

/** The kept edits of one document. */
export class EditShelf {
  readonly #document: string;
  readonly #keeper: EditKeeper;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Versions that are stored now and belong to us; key -> savedAt. */
  readonly #stored = new Map<string, number>();
  #loaded = false;
  #lastSavedAt = 0;

  constructor(document: string, keeper: EditKeeper) {
    this.#document = document;
    this.#keeper = keeper;
  }

  /** Whether earlier edits were looked for. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /**
   * Find the edits of earlier pages. Those of this epoch are returned, to be
   * sent; those of another are moved to a fork, never to be merged. Without
   * the right to write they stay where they are.
   */
  async load(
    owner: EditOwner,
    epoch: string,
    write: boolean,
  ): Promise<KeptEdits[]> {
    if (!write) return [];
    this.#loaded = true;
    const found = await this.#keeper.load(
      keptPrefix(owner.hubId, this.#document),
    );
    const usable: KeptEdits[] = [];
    for (const kept of found) {
      if (kept.epoch === epoch) {
        usable.push(kept);
        this.#stored.set(kept.key, kept.savedAt);
      } else {
        const who = kept.key.slice(kept.key.lastIndexOf("/") + 1);
        const name = forkName(this.#document, kept.epoch);
        const key = keptPrefix(owner.hubId, name) + who;
        await this.#keeper.put({ ...kept, key });
        await this.#keeper.remove(kept.key, kept.savedAt);
      }
    }
    return usable;
  }

  /** The queue changed: keep it (soon, or in a moment), or remove what is kept. */
  keep(
    owner: EditOwner,
    epoch: string,
    queue: UnsavedQueue,
    soon: boolean,
  ): void {
    if (queue.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      for (const [key, savedAt] of this.#stored) {
        void this.#keeper.remove(key, savedAt);
      }
      this.#stored.clear();
      return;
    }
    if (soon) this.#write(owner, epoch, queue);
    else {
      this.#timer ??= setTimeout(
        () => this.#write(owner, epoch, queue),
        PATIENCE_MS,
      );
    }
  }

  /** Keep a whole document of an epoch that is over. */
  putAside(owner: EditOwner, epoch: string, doc: Y.Doc, edits: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const name = forkName(this.#document, epoch);
    void this.#keeper.put({
      key: keptPrefix(owner.hubId, name) + owner.id,
      epoch,
      update: Y.encodeStateAsUpdate(doc),
      edits,
      savedAt: this.#now(),
    });
    for (const [key, savedAt] of this.#stored) {
      void this.#keeper.remove(key, savedAt);
    }
    this.#stored.clear();
  }

  #write(owner: EditOwner, epoch: string, queue: UnsavedQueue): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const update = queue.whole();
    if (update === null || queue.size === 0) return;
    const key = keptPrefix(owner.hubId, this.#document) + owner.id;
    const savedAt = this.#now();
    this.#stored.set(key, savedAt);
    void this.#keeper.put({ key, epoch, update, edits: queue.size, savedAt });
  }

  #now(): number {
    // Two versions in one millisecond must still differ.
    this.#lastSavedAt = Math.max(Date.now(), this.#lastSavedAt + 1);
    return this.#lastSavedAt;
  }
}
