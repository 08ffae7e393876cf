/** Is the window as narrow as a phone's? */
import { useSyncExternalStore } from "react";

const NARROW_PX = 860;

export function useNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      addEventListener("resize", listener);
      return () => removeEventListener("resize", listener);
    },
    () => innerWidth <= NARROW_PX,
  );
}
