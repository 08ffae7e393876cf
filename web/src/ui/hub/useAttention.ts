import { useEffect, useRef, useState } from "react";
import type { RemoteMedia } from "../../session/api";
import { watchLevel } from "../media/level";

/** Speech, as a level of 0 to 1. */
const SPEECH = 0.38;
/** The strip is put in order no more often than this: faces that jump cannot be followed. */
const ORDER_MS = 3_000;

/** When each person spoke last, in milliseconds of the page's clock. */
export function useSpoken(remote: readonly RemoteMedia[]): ReadonlyMap<string, number> {
  const [spoken, setSpoken] = useState<ReadonlyMap<string, number>>(new Map());
  const heard = useRef(new Map<string, number>());
  useEffect(() => {
    const stops = remote.flatMap(({ personId, camera }) =>
      camera === null
        ? []
        : watchLevel(camera, (level) => {
            if (level > SPEECH) heard.current.set(personId, performance.now());
          }),
    );
    return () => stops.forEach((stop) => stop());
  }, [remote]);
  useEffect(() => {
    const timer = setInterval(() => {
      setSpoken((before) => {
        const changed = [...heard.current].some(([id, at]) => before.get(id) !== at);
        return changed ? new Map(heard.current) : before;
      });
    }, ORDER_MS);
    return () => clearInterval(timer);
  }, []);
  return spoken;
}
