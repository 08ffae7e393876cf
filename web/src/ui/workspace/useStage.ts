/** What the canvas shows: whiteboard, notes, or somebody's screen. */
import { useEffect, useRef, useState } from "react";
import type { Snapshot } from "../../session/api";
import { useText } from "../text";

export type View = "board" | "notes" | "screen";

export interface Stage {
  readonly key: string;
  readonly stream: MediaStream;
  readonly caption: string;
}

/** A new screen of somebody else comes to the front once; when it ends, what was before returns. */
export function useStage(snapshot: Snapshot): {
  view: View;
  setView: (view: View) => void;
  stage: Stage | null;
} {
  const t = useText();
  const [view, setView] = useState<View>("board");
  const before = useRef<View>("board");
  const shown = useRef<string | null>(null);

  const theirs = snapshot.remote.find((media) => media.screen !== null);
  const name = snapshot.people.find((person) => person.id === theirs?.personId)?.name ?? "";
  let stage: Stage | null = null;
  if (theirs?.screen) {
    stage = { key: theirs.personId, stream: theirs.screen, caption: t.room.screenOf(name) };
  } else if (snapshot.local.screen) {
    stage = { key: "me", stream: snapshot.local.screen, caption: t.room.yourScreen };
  }

  const key = stage?.key ?? null;
  useEffect(() => {
    if (key === shown.current) return;
    shown.current = key;
    if (key !== null && key !== "me") {
      setView((now) => {
        if (now !== "screen") before.current = now;
        return "screen";
      });
    } else if (key === null) {
      setView((now) => (now === "screen" ? before.current : now));
    }
  }, [key]);

  return { view: view === "screen" && stage === null ? before.current : view, setView, stage };
}
