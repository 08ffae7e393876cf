/** Cameras, microphones and speakers of this machine. */
import { useCallback, useEffect, useRef, useState } from "react";
import { keep, kept } from "../parts/kept";

export type DeviceProblem = "denied" | "missing" | "busy" | "insecure" | "unknown";

export interface Opened {
  stream: MediaStream | null;
  camera: DeviceProblem | null;
  microphone: DeviceProblem | null;
}

export function devicesAvailable(): boolean {
  return typeof navigator.mediaDevices?.getUserMedia === "function";
}

/** Why getUserMedia failed, in our words. */
export function problemOf(error: unknown): DeviceProblem {
  switch ((error as { name?: string } | null)?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "unknown";
  }
}

function audioConstraints(): MediaTrackConstraints {
  const deviceId = kept("microphone");
  return {
    echoCancellation: true,
    noiseSuppression: true,
    autoGainControl: true,
    ...(deviceId ? { deviceId: { ideal: deviceId } } : {}),
  };
}

function videoConstraints(): MediaTrackConstraints {
  const deviceId = kept("camera");
  return {
    width: { ideal: 1280 },
    height: { ideal: 720 },
    frameRate: { ideal: 30 },
    ...(deviceId ? { deviceId: { ideal: deviceId } } : {}),
  };
}

async function openOne(kind: "audio" | "video"): Promise<MediaStreamTrack[] | DeviceProblem> {
  try {
    const stream = await navigator.mediaDevices.getUserMedia(
      kind === "audio" ? { audio: audioConstraints() } : { video: videoConstraints() },
    );
    return stream.getTracks();
  } catch (error) {
    return problemOf(error);
  }
}

/** Open what is wanted; one prompt where the browser can, and what fails alone fails alone. */
export async function openDevices(want: { audio: boolean; video: boolean }): Promise<Opened> {
  if (!devicesAvailable()) {
    return {
      stream: null,
      camera: want.video ? "insecure" : null,
      microphone: want.audio ? "insecure" : null,
    };
  }
  if (want.audio && want.video) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: audioConstraints(),
        video: videoConstraints(),
      });
      return { stream, camera: null, microphone: null };
    } catch {
      // One of the two fails: ask for each alone below.
    }
  }
  const audio = want.audio ? await openOne("audio") : [];
  const video = want.video ? await openOne("video") : [];
  const tracks = [audio, video].flatMap((part) => (Array.isArray(part) ? part : []));
  return {
    stream: tracks.length > 0 ? new MediaStream(tracks) : null,
    camera: Array.isArray(video) ? null : video,
    microphone: Array.isArray(audio) ? null : audio,
  };
}

export function stopTracks(stream: MediaStream | null, kind?: "audio" | "video"): void {
  for (const track of stream?.getTracks() ?? []) {
    if (kind === undefined || track.kind === kind) track.stop();
  }
}

export type DeviceKind = "camera" | "microphone" | "speaker";
const KINDS: Record<DeviceKind, MediaDeviceKind> = {
  camera: "videoinput",
  microphone: "audioinput",
  speaker: "audiooutput",
};

export type DeviceList = Record<DeviceKind, MediaDeviceInfo[]>;

/** The devices at hand, kept current; names appear once a permission is given. */
export function useDeviceList(opened: unknown): DeviceList {
  const [list, setList] = useState<DeviceList>({ camera: [], microphone: [], speaker: [] });
  useEffect(() => {
    const media = navigator.mediaDevices;
    if (!media?.enumerateDevices) return;
    let gone = false;
    const read = async () => {
      const all = await media.enumerateDevices().catch(() => []);
      if (gone) return;
      const of = (kind: DeviceKind) =>
        all.filter((device) => device.kind === KINDS[kind] && device.deviceId !== "");
      setList({ camera: of("camera"), microphone: of("microphone"), speaker: of("speaker") });
    };
    void read();
    media.addEventListener?.("devicechange", read);
    return () => {
      gone = true;
      media.removeEventListener?.("devicechange", read);
    };
  }, [opened]);
  return list;
}

/** Can this browser send sound to a chosen speaker? */
export function speakerChoice(): boolean {
  return typeof HTMLMediaElement !== "undefined" && "setSinkId" in HTMLMediaElement.prototype;
}

export interface Preview extends Opened {
  readonly busy: boolean;
  readonly micOn: boolean;
  readonly camOn: boolean;
  setMicOn(on: boolean): void;
  setCamOn(on: boolean): void;
  choose(kind: DeviceKind, deviceId: string): void;
  retry(): void;
  /**
   * Hand the stream over once it is there (a prompt may still be open); the
   * preview will not stop it when it goes.
   */
  take(): Promise<MediaStream | null>;
}

const CLOSED: Opened = { stream: null, camera: null, microphone: null };

/** Camera and microphone before joining. */
export function usePreview(): Preview {
  const [opened, setOpened] = useState<Opened>(CLOSED);
  const [busy, setBusy] = useState(true);
  const [micOn, setMicOn] = useState(kept("mic") !== "off");
  const [camOn, setCamOn] = useState(kept("cam") !== "off");
  const [round, setRound] = useState(0);
  const taken = useRef(false);
  const held = useRef<MediaStream | null>(null);
  held.current = opened.stream;
  const opening = useRef<Promise<Opened>>(Promise.resolve(CLOSED));

  useEffect(() => {
    let gone = false;
    setBusy(true);
    const round = openDevices({ audio: true, video: camOn });
    opening.current = round;
    void round.then((next) => {
      if (gone) {
        if (!taken.current || opening.current !== round) stopTracks(next.stream);
        return;
      }
      setOpened((before) => {
        if (!taken.current) stopTracks(before.stream);
        return next;
      });
      setBusy(false);
    });
    return () => {
      gone = true;
    };
  }, [camOn, round]);

  useEffect(
    () => () => {
      if (!taken.current) stopTracks(held.current);
    },
    [],
  );

  const choose = useCallback((kind: DeviceKind, deviceId: string) => {
    keep(kind, deviceId);
    if (kind !== "speaker") setRound((n) => n + 1);
  }, []);

  return {
    ...opened,
    busy,
    micOn,
    camOn,
    setMicOn: (on) => {
      keep("mic", on ? null : "off");
      setMicOn(on);
    },
    setCamOn: (on) => {
      keep("cam", on ? null : "off");
      setCamOn(on);
    },
    choose,
    retry: () => setRound((n) => n + 1),
    take: () => {
      taken.current = true;
      return opening.current.then((last) => last.stream);
    },
  };
}
