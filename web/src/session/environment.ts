/** What the session layer needs of its surroundings; the browser by default. */
import type { OpenSocket, Socket } from "../protocol";
import { IndexedDbEditKeeper } from "./indexeddb-keeper";
import { MemoryEditKeeper, type EditKeeper } from "./kept-edits";

/** Signs from outside that matter to a meeting. */
export interface OutsideSigns {
  /** The machine may have a network again, or another one. */
  network(): void;
  /** The page is looked at again, or the network may be gone: look closely. */
  visible(): void;
  /** The page may be gone in a moment. */
  leaving(): void;
}

/** Everything that is not the session's own; tests give others. */
export interface Environment {
  /** Scheme, host and port of the server. */
  readonly origin: string;
  readonly fetch: typeof fetch;
  readonly openSocket: OpenSocket;
  createConnection(configuration: RTCConfiguration): RTCPeerConnection;
  readonly keeper: EditKeeper;
  /** The tab's storage; null where it is forbidden. */
  readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  /** Listen for signs; returns the way to stop. */
  watch(signs: OutsideSigns): () => void;
  randomId(): string;
}

/** The browser. */
export function browserEnvironment(): Environment {
  return {
    origin: location.origin,
    fetch: (input, init) => fetch(input, init),
    openSocket: (url, subprotocol) =>
      new WebSocket(url, subprotocol) as unknown as Socket,
    createConnection: (configuration) => new RTCPeerConnection(configuration),
    keeper: browserKeeper(),
    storage: tabStorage(),
    watch: watchPage,
    randomId: randomHexId,
  };
}

/** 128 random bits in hex; crypto.randomUUID needs a secure context, this not. */
export function randomHexId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The DRCP address of an origin. */
export function drcpUrl(origin: string): string {
  return `${origin.replace(/^http/, "ws")}/drcp`;
}

function browserKeeper(): EditKeeper {
  try {
    // Reading the property throws where storage is forbidden.
    if (globalThis.indexedDB) return new IndexedDbEditKeeper(globalThis.indexedDB);
  } catch {
    // Memory it is, then.
  }
  return new MemoryEditKeeper();
}

function tabStorage(): Storage | null {
  try {
    return globalThis.sessionStorage;
  } catch {
    return null;
  }
}

function watchPage(signs: OutsideSigns): () => void {
  const network = () => signs.network();
  const doubt = () => signs.visible();
  const leaving = () => signs.leaving();
  const visibility = () => {
    if (document.visibilityState === "visible") signs.visible();
    else signs.leaving();
  };
  addEventListener("online", network);
  addEventListener("offline", doubt);
  addEventListener("pagehide", leaving);
  document.addEventListener("visibilitychange", visibility);
  return () => {
    removeEventListener("online", network);
    removeEventListener("offline", doubt);
    removeEventListener("pagehide", leaving);
    document.removeEventListener("visibilitychange", visibility);
  };
}
