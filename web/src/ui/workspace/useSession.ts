import { useSyncExternalStore } from "react";
import type { RoomSession, Snapshot } from "../../session/api";

/** The present state of the room; draws again when it changes. */
export function useSnapshot(session: RoomSession): Snapshot {
  return useSyncExternalStore(
    (listener) => session.subscribe(listener),
    () => session.snapshot(),
  );
}
