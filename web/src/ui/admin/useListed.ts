/** A list of the server, read again after every change to it. */
import { useCallback, useEffect, useRef, useState } from "react";

export interface Listed<T> {
  /** null until the first answer. */
  readonly items: T[] | null;
  /** Do something, then read the list again; true if it was done. */
  act(work: () => Promise<unknown>): Promise<boolean>;
}

export function useListed<T>(
  read: () => Promise<T[]>,
  onRefused: (error: unknown) => void,
): Listed<T> {
  const [items, setItems] = useState<T[] | null>(null);
  const latest = useRef({ read, onRefused });
  latest.current = { read, onRefused };

  const load = useCallback(async () => {
    try {
      setItems(await latest.current.read());
    } catch (error) {
      latest.current.onRefused(error);
    }
  }, []);
  useEffect(() => void load(), [load]);

  const act = useCallback(
    async (work: () => Promise<unknown>) => {
      try {
        await work();
      } catch (error) {
        latest.current.onRefused(error);
        return false;
      }
      await load();
      return true;
    },
    [load],
  );
  return { items, act };
}
