/** What one Yjs peer lacks of another, deletions compared exactly. */
import * as Y from "yjs";

/**
 * The update that brings the server level with `doc`, or null if it lacks
 * nothing.
 *
 * stateVector: the server's. serverUpdate: its answer to our state vector. A
 * Yjs diff always repeats every deletion, so without this comparison each
 * return of each client would be journaled as an edit.
 */
export function missingUpdate(
  doc: Y.Doc,
  stateVector: Uint8Array,
  serverUpdate: Uint8Array,
): Uint8Array | null {
  const diff =
    stateVector.length === 0
      ? Y.encodeStateAsUpdate(doc)
      : Y.encodeStateAsUpdate(doc, stateVector);
  const { structs, ds } = Y.decodeUpdate(diff);
  if (structs.length > 0) return diff;
  const known = serverUpdate.length === 0 ? null : Y.decodeUpdate(serverUpdate).ds;
  for (const [client, deletions] of ds.clients) {
    const ranges = known?.clients.get(client) ?? [];
    if (!deletions.every((deletion) => covered(deletion, ranges))) return diff;
  }
  return null;
}

interface Range {
  readonly clock: number;
  readonly len: number;
}

function covered(wanted: Range, ranges: readonly Range[]): boolean {
  let from = wanted.clock;
  const to = wanted.clock + wanted.len;
  for (const range of [...ranges].sort((a, b) => a.clock - b.clock)) {
    if (range.clock > from) break;
    from = Math.max(from, range.clock + range.len);
    if (from >= to) return true;
  }
  return from >= to;
}
