import type * as Y from "yjs";
import { useText } from "../text";
import { blocksOf } from "./blocks";
import { FIELD } from "./field";

/** Notes to read: their text without tools. */
export function NotesPreview({ doc }: { doc: Y.Doc }) {
  const t = useText();
  const blocks = blocksOf(doc.getXmlFragment(FIELD));
  if (blocks.length === 0) return <p className="chat-empty">{t.versions.blank}</p>;
  return (
    <div className="notes-preview" role="region" aria-label={t.room.notes} tabIndex={0}>
      {blocks.map(({ kind, depth, text }, n) => (
        <p key={n} className={`block ${kind} depth-${Math.min(depth, 3)}`}>
          {text}
        </p>
      ))}
    </div>
  );
}
