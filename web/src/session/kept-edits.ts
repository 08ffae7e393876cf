/** Unsaved edits that outlive the page. */

/** Edits of one document that were not committed when they were put here. */
export interface KeptEdits {
  /** `<hub id>/<document>/<who>`; see keptKey. */
  readonly key: string;
  readonly epoch: string;
  readonly update: Uint8Array;
  readonly edits: number;
  /** Milliseconds since 1970; unique enough to tell two versions apart. */
  readonly savedAt: number;
}

/** Where unsaved edits are kept. None of the calls reject. */
export interface EditKeeper {
  /** What is kept under keys that begin with `prefix`. */
  load(prefix: string): Promise<KeptEdits[]>;
  put(kept: KeptEdits): Promise<void>;
  /** Remove that version; a newer one under the same key stays. */
  remove(key: string, savedAt: number): Promise<void>;
}

/** The prefix of every key of a document; a fork has a name of its own. */
export function keptPrefix(hubId: string, document: string): string {
  return `${hubId}/${document}/`;
}

/** The name under which a document of another epoch is put aside. */
export function forkName(document: string, epoch: string): string {
  return `${document}@${epoch}`;
}

/** Keeps edits while the page lives: where there is no IndexedDB, and in tests. */
export class MemoryEditKeeper implements EditKeeper {
  readonly #kept = new Map<string, KeptEdits>();

  load(prefix: string): Promise<KeptEdits[]> {
    const found = [...this.#kept.values()].filter((kept) =>
      kept.key.startsWith(prefix),
    );
    return Promise.resolve(found);
  }

  put(kept: KeptEdits): Promise<void> {
    this.#kept.set(kept.key, kept);
    return Promise.resolve();
  }

  remove(key: string, savedAt: number): Promise<void> {
    if (this.#kept.get(key)?.savedAt === savedAt) this.#kept.delete(key);
    return Promise.resolve();
  }
}
