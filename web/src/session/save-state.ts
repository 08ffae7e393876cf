/** The one line that never lies: what the state line says, and when. */
import type { ConnectionState } from "../protocol";
import type { EndReason, SaveState } from "./api";

/** What the line depends on. */
export interface SaveFacts {
  readonly connection: ConnectionState;
  /** False until we were in the room for the first time. */
  readonly wasLive: boolean;
  readonly waiting: boolean;
  readonly ended: EndReason | null;
  readonly documents: readonly {
    readonly unsaved: number;
    readonly synced: boolean;
    readonly writable: boolean;
    readonly problem: string | null;
  }[];
  /** May this role write? */
  readonly mayWrite: boolean;
  readonly chatUnsaved: number;
  readonly chatProblem: string | null;
}

/** Judge the facts. Anything not committed on the server counts as unsaved. */
export function saveState(facts: SaveFacts): SaveState {
  const { connection, documents } = facts;
  if (facts.ended !== null) return { kind: "ended", reason: facts.ended };
  const unsaved =
    facts.chatUnsaved +
    documents.reduce((sum, document) => sum + document.unsaved, 0);
  if (connection.kind === "offline") {
    return { kind: "offline", unsaved, retryAt: connection.retryAt };
  }
  if (connection.kind !== "live") {
    return facts.wasLive || unsaved > 0
      ? { kind: "offline", unsaved, retryAt: null }
      : { kind: "connecting" };
  }
  if (facts.waiting) return { kind: "waiting" };
  const reason =
    documents.find(({ problem, unsaved: n }) => problem !== null && n > 0)
      ?.problem ?? (facts.chatUnsaved > 0 ? facts.chatProblem : null);
  if (reason !== null && reason !== undefined) {
    return { kind: "cannot-save", reason, unsaved };
  }
  const stuck = documents.some(
    (document) => document.synced && !document.writable && document.unsaved > 0,
  );
  if (stuck) return { kind: "cannot-save", reason: "forbidden", unsaved };
  if (unsaved > 0) return { kind: "saving", unsaved };
  if (documents.some(({ synced }) => !synced)) return { kind: "connecting" };
  if (!facts.mayWrite) return { kind: "read-only" };
  return { kind: "live", unsaved: 0 };
}
