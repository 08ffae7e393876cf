/** Unsaved edits in IndexedDB, one record for each document and person. */
import type { EditKeeper, KeptEdits } from "./kept-edits";

const DATABASE = "mosaic-unsaved-edits";
const STORE = "edits";

/**
 * Keeps edits in the browser's database. A database that cannot be opened
 * (private windows, full disks) keeps nothing: the edits stay in memory.
 */
export class IndexedDbEditKeeper implements EditKeeper {
  readonly #factory: IDBFactory;
  #database: Promise<IDBDatabase | null> | null = null;

  constructor(factory: IDBFactory) {
    this.#factory = factory;
  }

  async load(prefix: string): Promise<KeptEdits[]> {
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const found = await this.#perform("readonly", (store) =>
      store.getAll(range),
    );
    return (found as KeptEdits[] | null) ?? [];
  }

  async put(kept: KeptEdits): Promise<void> {
    await this.#perform("readwrite", (store) => store.put(kept));
  }

  async remove(key: string, savedAt: number): Promise<void> {
    await this.#perform("readwrite", (store) => {
      const read = store.get(key) as IDBRequest<KeptEdits | undefined>;
      // Same transaction: nobody can put a newer version in between.
      read.onsuccess = () => {
        if (read.result?.savedAt === savedAt) store.delete(key);
      };
      return read;
    });
  }

  async #perform(
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest,
  ): Promise<unknown> {
    this.#database ??= open(this.#factory);
    const database = await this.#database;
    if (database === null) return null;
    return new Promise((resolve) => {
      try {
        const transaction = database.transaction(STORE, mode);
        const request = work(transaction.objectStore(STORE));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => resolve(null);
        transaction.onerror = () => resolve(null);
      } catch {
        resolve(null);
      }
    });
  }
}

function open(factory: IDBFactory): Promise<IDBDatabase | null> {
  return new Promise((resolve) => {
    try {
      const request = factory.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE, { keyPath: "key" });
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
      request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

/** Forget every kept edit, whoever made it. */
export async function wipeEdits(factory: IDBFactory): Promise<void> {
  const database = await open(factory);
  if (database === null) return;
  await new Promise<void>((resolve) => {
    const transaction = database.transaction(STORE, "readwrite");
    transaction.objectStore(STORE).clear();
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => resolve();
    transaction.onerror = () => resolve();
  });
  database.close();
}
