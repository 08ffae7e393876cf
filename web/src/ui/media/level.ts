/** How loud a stream is. One audio context serves the whole page. */
import { useEffect, useState } from "react";

let shared: AudioContext | null = null;

function audioContext(): AudioContext | null {
  if (typeof AudioContext === "undefined") return null;
  shared ??= new AudioContext();
  if (shared.state === "suspended") void shared.resume().catch(() => {});
  return shared;
}

const PERIOD_MS = 90;

/** Call back about eleven times a second with 0 (silence) to 1 (loud); returns the way to stop. */
export function watchLevel(stream: MediaStream, listener: (level: number) => void): () => void {
  const context = audioContext();
  if (context === null || stream.getAudioTracks().length === 0) return () => {};
  const source = context.createMediaStreamSource(stream);
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const decibel = 10 * Math.log10(sum / samples.length + 1e-9);
    listener(Math.min(1, Math.max(0, (decibel + 60) / 50)));
  }, PERIOD_MS);
  return () => {
    clearInterval(timer);
    source.disconnect();
  };
}

/** The level in `steps` steps, so that a page is drawn again only when the picture changes. */
export function useLevel(stream: MediaStream | null, steps: number, on: boolean): number {
  const [level, setLevel] = useState(0);
  useEffect(() => {
    if (stream === null || !on) {
      setLevel(0);
      return;
    }
    return watchLevel(stream, (value) => setLevel(Math.round(value * steps)));
  }, [stream, steps, on]);
  return level;
}

/** Is someone speaking? Falls back to silence after half a second. */
export function useSpeaking(stream: MediaStream | null, on: boolean): boolean {
  const [speaking, setSpeaking] = useState(false);
  useEffect(() => {
    if (stream === null || !on) {
      setSpeaking(false);
      return;
    }
    let last = 0;
    return watchLevel(stream, (value) => {
      const now = performance.now();
      if (value > 0.38) last = now;
      setSpeaking(last > 0 && now - last < 500);
    });
  }, [stream, on]);
  return speaking;
}
