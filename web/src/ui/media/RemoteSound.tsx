import { useEffect, useRef } from "react";
import { kept } from "../parts/kept";

interface RemoteSoundProps {
  streams: readonly MediaStream[];
  /** Counts up when a click allows sound again. */
  attempt: number;
  /** 0 (silence) to 1. */
  volume?: number;
  onBlocked: () => void;
}

/** The sound of everyone else, apart from whether their picture is on the screen. */
export function RemoteSound({ streams, attempt, volume = 1, onBlocked }: RemoteSoundProps) {
  return (
    <div hidden>
      {streams.map((stream) => (
        <Sound
          key={stream.id}
          stream={stream}
          attempt={attempt}
          volume={volume}
          onBlocked={onBlocked}
        />
      ))}
    </div>
  );
}

function Sound({
  stream,
  attempt,
  volume,
  onBlocked,
}: {
  stream: MediaStream;
  attempt: number;
  volume: number;
  onBlocked: () => void;
}) {
  const element = useRef<HTMLAudioElement>(null);
  const blocked = useRef(onBlocked);
  blocked.current = onBlocked;
  useEffect(() => {
    const audio = element.current;
    if (!audio) return;
    audio.srcObject = stream;
    const speaker = kept("speaker");
    if (speaker && "setSinkId" in audio) void audio.setSinkId(speaker).catch(() => {});
    audio.play?.()?.catch?.((error: unknown) => {
      if ((error as { name?: string }).name === "NotAllowedError") blocked.current();
    });
    return () => {
      audio.srcObject = null;
    };
  }, [stream, attempt]);
  useEffect(() => {
    if (element.current) element.current.volume = Math.min(1, Math.max(0, volume));
  }, [volume]);
  return <audio ref={element} autoPlay />;
}
