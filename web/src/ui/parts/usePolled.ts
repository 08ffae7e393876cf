/** Something of the server that changes by itself, read again while somebody looks. */
import { useCallback, useEffect, useRef, useState } from "react";

export interface Polled<T> {
  /** null until the first answer; the last one while the server does not answer. */
  readonly value: T | null;
  /** Why the last try failed; null if it did not. */
  readonly failed: unknown;
  /** Read it now. */
  reload(): Promise<void>;
}

export function usePolled<T>(read: () => Promise<T>, everyMs: number): Polled<T> {
  const [value, setValue] = useState<T | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const latest = useRef(read);
  latest.current = read;
  /** An answer that is overtaken by a later question does not count. */
  const asked = useRef(0);

  const reload = useCallback(async () => {
    const mine = ++asked.current;
    try {
      const found = await latest.current();
      if (mine !== asked.current) return;
      setValue(found);
      setFailed(null);
    } catch (error) {
      if (mine === asked.current) setFailed(error);
    }
  }, []);

  useEffect(() => {
    void reload();
    const look = () => {
      if (document.visibilityState !== "hidden") void reload();
    };
    const timer = setInterval(look, everyMs);
    document.addEventListener("visibilitychange", look);
    return () => {
      asked.current = -1;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [reload, everyMs]);
  return { value, failed, reload };
}
