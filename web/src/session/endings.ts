/** Why a meeting ended, in the words of the user interface. */
import type { ConnectionState } from "../protocol";
import type { EndReason } from "./api";

/**
 * Translate the end of a connection.
 *
 * entered: we were in the room, not only in its lobby. said: the server's
 * last error on channel 0, which says more than a close code.
 */
export function endReason(
  ended: Extract<ConnectionState, { kind: "ended" }>,
  entered: boolean,
  said: string,
): EndReason {
  switch (ended.cause) {
    case "left":
      return "left";
    case "unauthenticated":
      return "expired";
    case "forbidden":
      if (ended.reason === "kicked") return "kicked";
      if (ended.reason === "refused") return "refused";
      return entered ? "kicked" : "refused";
    case "no-room":
      return "closed";
    case "replaced":
      return "replaced";
    case "unavailable": {
      const words = `${ended.reason} ${said}`;
      if (/clos/i.test(words)) return "closed";
      return /lobby|refus/i.test(words) && !entered ? "refused" : "locked";
    }
  }
}
