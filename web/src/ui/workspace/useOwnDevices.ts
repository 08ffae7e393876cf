/** Microphone, camera and screen of this page during a meeting. */
import { useState } from "react";
import type { RoomSession, Snapshot } from "../../session/api";
import { openDevices, stopTracks } from "../media/devices";
import type { DeviceKind } from "../media/devices";
import { keep } from "../parts/kept";

export interface OwnDevices {
  /** What went wrong last, until the next try. */
  readonly failed: "device" | "screen" | null;
  readonly canShareScreen: boolean;
  toggleMic(): void;
  toggleCamera(): void;
  toggleScreen(): void;
  choose(kind: DeviceKind, deviceId: string): void;
}

/** Replace one kind of track in what is published; the old tracks of that kind stop. */
function publish(
  session: RoomSession,
  before: MediaStream | null,
  kind: "audio" | "video",
  fresh: MediaStream | null,
): void {
  const others = before?.getTracks().filter((track) => track.kind !== kind) ?? [];
  const tracks = [...others, ...(fresh?.getTracks() ?? [])];
  session.setCamera(tracks.length > 0 ? new MediaStream(tracks) : null);
  stopTracks(before, kind);
}

function live(stream: MediaStream | null, kind: "audio" | "video"): boolean {
  return stream?.getTracks().some((t) => t.kind === kind && t.readyState === "live") ?? false;
}

export function useOwnDevices(session: RoomSession, snapshot: Snapshot): OwnDevices {
  const [failed, setFailed] = useState<OwnDevices["failed"]>(null);
  const { local } = snapshot;

  const open = async (kind: "audio" | "video"): Promise<boolean> => {
    const { stream } = await openDevices({ audio: kind === "audio", video: kind === "video" });
    if (stream === null) {
      setFailed("device");
      return false;
    }
    publish(session, session.snapshot().local.camera, kind, stream);
    return true;
  };

  const toggleMic = async () => {
    setFailed(null);
    if (local.micOn) session.setMicOn(false);
    else if (live(local.camera, "audio") || (await open("audio"))) session.setMicOn(true);
  };

  const toggleCamera = async () => {
    setFailed(null);
    if (local.camOn) {
      session.setCamOn(false);
      // Stopping the track, not only hiding it, puts the camera's light out.
      publish(session, session.snapshot().local.camera, "video", null);
    } else if (live(local.camera, "video") || (await open("video"))) {
      session.setCamOn(true);
    }
  };

  const toggleScreen = async () => {
    setFailed(null);
    if (local.screen) {
      session.stopScreen();
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: true });
      stream.getVideoTracks()[0]?.addEventListener("ended", () => session.stopScreen());
      session.shareScreen(stream);
    } catch (error) {
      // Closing the chooser is a choice, not a fault.
      if ((error as { name?: string }).name !== "NotAllowedError") setFailed("screen");
    }
  };

  return {
    failed,
    canShareScreen: typeof navigator.mediaDevices?.getDisplayMedia === "function",
    toggleMic: () => void toggleMic(),
    toggleCamera: () => void toggleCamera(),
    toggleScreen: () => void toggleScreen(),
    choose: (kind, deviceId) => {
      keep(kind, deviceId);
      if (kind === "microphone") void open("audio");
      if (kind === "camera" && local.camOn) void open("video");
    },
  };
}
