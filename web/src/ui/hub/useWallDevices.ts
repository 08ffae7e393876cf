/** The camera and the microphone of the meeting room. */
import { useEffect, useRef } from "react";
import type { RoomSession } from "../../session/api";
import { openDevices, stopTracks } from "../media/devices";

/**
 * Open while `on`; closed, not only muted, while it is not. What somebody
 * switched off at the wall stays off when they are opened again.
 */
export function useWallDevices(session: RoomSession, on: boolean): void {
  const wished = useRef({ mic: true, cam: true });
  useEffect(() => {
    if (!on) return;
    let gone = false;
    void openDevices({ audio: true, video: wished.current.cam }).then(({ stream }) => {
      if (gone) return stopTracks(stream);
      if (stream === null) return;
      session.setCamera(stream);
      session.setMicOn(wished.current.mic);
      session.setCamOn(wished.current.cam);
    });
    return () => {
      gone = true;
      const { local, save } = session.snapshot();
      if (save.kind === "ended" || local.camera === null) return;
      wished.current = { mic: local.micOn, cam: local.camOn };
      session.setCamera(null);
      stopTracks(local.camera);
    };
  }, [session, on]);
}
