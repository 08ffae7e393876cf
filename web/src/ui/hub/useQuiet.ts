import { useEffect, useState } from "react";

const SIGNS = ["pointermove", "pointerdown", "keydown", "focusin", "wheel"] as const;

/** True when nobody has touched this screen for `afterMs`; `first` until then or a touch. */
export function useQuiet(afterMs: number, first = false): boolean {
  const [quiet, setQuiet] = useState(first);
  useEffect(() => {
    const wait = () => setTimeout(() => setQuiet(true), afterMs);
    let timer = wait();
    const touched = () => {
      setQuiet(false);
      clearTimeout(timer);
      timer = wait();
    };
    for (const sign of SIGNS) addEventListener(sign, touched, { capture: true, passive: true });
    return () => {
      clearTimeout(timer);
      for (const sign of SIGNS) removeEventListener(sign, touched, { capture: true });
    };
  }, [afterMs]);
  return quiet;
}
