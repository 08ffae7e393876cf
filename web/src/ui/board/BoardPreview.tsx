import "./assets";
import { exportToCanvas, restoreElements } from "@excalidraw/excalidraw";
import type {
  ExcalidrawElement,
  NonDeletedExcalidrawElement,
  OrderedExcalidrawElement,
} from "@excalidraw/excalidraw/element/types";
import type { BinaryFiles } from "@excalidraw/excalidraw/types";
import { useEffect, useRef, useState } from "react";
import type * as Y from "yjs";
import type { RoomSession } from "../../session/api";
import { useTheme } from "../parts/theme";
import { useText } from "../text";
import { isBoardElement } from "./binding";
import { Pictures } from "./pictures";

const LARGEST_PX = 1600;

/** What a board shows: elements that can be drawn and are not deleted, back to front. */
function shownOf(doc: Y.Doc): NonDeletedExcalidrawElement[] {
  const found: OrderedExcalidrawElement[] = [];
  for (const [id, value] of doc.getMap<unknown>("elements")) {
    if (isBoardElement(id, value) && !value.isDeleted) {
      found.push(value as unknown as OrderedExcalidrawElement);
    }
  }
  const order = (one: ExcalidrawElement) => one.index ?? "";
  found.sort((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
  return found.flatMap((element) => {
    try {
      return restoreElements([element], null) as NonDeletedExcalidrawElement[];
    } catch {
      return [];
    }
  });
}

/** A whiteboard to look at. */
export default function BoardPreview({ doc, session }: { doc: Y.Doc; session: RoomSession }) {
  const t = useText();
  const theme = useTheme();
  const place = useRef<HTMLDivElement>(null);
  const [state, setState] = useState<"drawing" | "drawn" | "blank" | "failed">("drawing");

  useEffect(() => {
    let current = true;
    const elements = shownOf(doc);
    const draw = async () => {
      const fetched = await new Pictures(session).missing(elements, {});
      const files: BinaryFiles = Object.fromEntries(fetched.map((file) => [file.id, file]));
      const canvas = await exportToCanvas({
        elements,
        files,
        appState: { exportBackground: false, exportWithDarkMode: theme === "dark" },
        maxWidthOrHeight: LARGEST_PX,
        exportPadding: 16,
      });
      if (!current) return;
      canvas.removeAttribute("style");
      place.current?.replaceChildren(canvas);
      setState("drawn");
    };
    if (elements.length === 0) setState("blank");
    else draw().catch(() => current && setState("failed"));
    return () => {
      current = false;
    };
  }, [doc, session, theme]);

  return (
    <>
      {state === "blank" && <p className="chat-empty">{t.versions.blank}</p>}
      {state === "failed" && <p className="chat-empty">{t.versions.problem.failed}</p>}
      <div
        ref={place}
        className="board-preview"
        hidden={state !== "drawn"}
        role="img"
        aria-label={t.versions.picture}
      />
    </>
  );
}
