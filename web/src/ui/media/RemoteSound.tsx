import { useEffect, useRef } from "react";
import { kept } from "../parts/kept";

interface RemoteSoundProps {
  streams: readonly MediaStream[];
  /** Counts up when a click allows sound again. */
  attempt: number;
  onBlocked: () => void;
}

/** The sound of everyone else, apart from whether their picture is on the screen. */
export function RemoteSound({ streams, attempt, onBlocked }: RemoteSoundProps) {
  return (
    <div hidden>
      {streams.map((stream) => (
        <Sound key={stream.id} stream={stream} attempt={attempt} onBlocked={onBlocked} />
      ))}
    </div>
  );
}

function Sound({
  stream,
  attempt,
  onBlocked,
}: {
  stream: MediaStream;
  attempt: number;
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
  return <audio ref={element} autoPlay />;
}
