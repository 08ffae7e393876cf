/** The end of a meeting on a wall: the next people find nothing of it. */
import { wipeEdits } from "../indexeddb-keeper";

/** Choices about the machine, which are nobody's secret (ui/parts/kept.ts). */
const SETTINGS = new Set([
  "mosaic.theme",
  "mosaic.language",
  "mosaic.speaker",
  "mosaic.microphone",
  "mosaic.camera",
]);
/** What keeps the screen itself going. */
const SCREEN = new Set(["mosaic.hub"]);

interface Kept {
  readonly indexedDB: IDBFactory | undefined;
  readonly local: Storage | null;
  readonly session: Storage | null;
  readonly caches: CacheStorage | undefined;
}

/** Forget all that meetings left in this browser; settings stay. Never rejects. */
export async function wipeMeeting(kept: Kept = browserKept()): Promise<void> {
  clear(kept.local, SETTINGS);
  clear(kept.session, SCREEN);
  try {
    if (kept.indexedDB !== undefined) await wipeEdits(kept.indexedDB);
    for (const name of (await kept.caches?.keys()) ?? []) await kept.caches?.delete(name);
  } catch {
    // A browser that keeps nothing has nothing to forget.
  }
}

function clear(storage: Storage | null, except: ReadonlySet<string>): void {
  try {
    if (storage === null) return;
    const keys = Array.from({ length: storage.length }, (_, at) => storage.key(at));
    for (const key of keys) if (key !== null && !except.has(key)) storage.removeItem(key);
  } catch {
    // As below.
  }
}

function browserKept(): Kept {
  const read = <T>(property: () => T): T | null => {
    try {
      return property() ?? null;
    } catch {
      return null; // reading the property throws where storage is forbidden
    }
  };
  return {
    indexedDB: read(() => globalThis.indexedDB) ?? undefined,
    local: read(() => globalThis.localStorage),
    session: read(() => globalThis.sessionStorage),
    caches: read(() => globalThis.caches) ?? undefined,
  };
}
