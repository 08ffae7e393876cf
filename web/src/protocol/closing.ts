/** What a WebSocket close code means for the client: come back, or stop. */

/** Why the server will not have this client back with this token. */
export type EndCause =
  | "unauthenticated"
  | "forbidden"
  | "no-room"
  | "replaced"
  | "unavailable";

/** The verdict on a closed socket. */
export type Closing =
  | { kind: "end"; cause: EndCause }
  /** Come back by the usual back-off. */
  | { kind: "retry" }
  /** Come back, but not before this many seconds. */
  | { kind: "retry-later"; afterS: number };

/** Seconds to stay away after being told that we were too fast or too big. */
const PENALTY_S = 5;

/**
 * Judge a close code (docs/protocols/drcp.md, "Close codes").
 *
 * announcedS: the `retry_after_s` of a `draining` event or of the last error
 * on channel 0, if any.
 */
export function judgeClose(code: number, announcedS: number | null): Closing {
  switch (code) {
    case 4401:
      return { kind: "end", cause: "unauthenticated" };
    case 4403:
      return { kind: "end", cause: "forbidden" };
    case 4404:
      return { kind: "end", cause: "no-room" };
    case 4409:
      return { kind: "end", cause: "replaced" };
    case 4423:
      return { kind: "end", cause: "unavailable" };
    // The same bytes may come again at once: give the server room.
    case 4400:
    case 4413:
    case 4429:
      return { kind: "retry-later", afterS: Math.max(announcedS ?? 0, PENALTY_S) };
  }
  // 1012 draining, 4408 too slow, 4500 failed, 1006 gone without a word.
  return announcedS === null
    ? { kind: "retry" }
    : { kind: "retry-later", afterS: announcedS };
}
