import { useEffect, useRef } from "react";

interface StreamVideoProps {
  stream: MediaStream;
  label: string;
  mirrored?: boolean;
  className?: string;
}

/** A picture without its sound; sound is played by RemoteSound, wherever the picture is. */
export function StreamVideo({ stream, label, mirrored = false, className = "" }: StreamVideoProps) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    video.srcObject = stream;
    void video.play?.()?.catch?.(() => {});
    return () => {
      video.srcObject = null;
    };
  }, [stream]);
  return (
    <video
      ref={element}
      className={`${className} ${mirrored ? "mirrored" : ""}`}
      aria-label={label}
      autoPlay
      playsInline
      muted
    />
  );
}
