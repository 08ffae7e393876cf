import { useSyncExternalStore } from "react";
import type { RoomSession, Snapshot } from "../../session/api";

/** The present state of the room; draws again when it changes. */
export function useSnapshot(session: RoomSession): Snapshot {
  return useSyncExternalStore(
    (listener) => session.subscribe(listener),
    () => session.snapshot(),
  );
}

/** Leave a meeting that is not over yet. */
export function leaveIfInside(session: RoomSession | null | undefined): void {
  if (session && session.snapshot().save.kind !== "ended") session.leave();
}
