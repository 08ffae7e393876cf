import { Editor } from "@tiptap/core";
import Collaboration from "@tiptap/extension-collaboration";
import CollaborationCaret from "@tiptap/extension-collaboration-caret";
import { Placeholder } from "@tiptap/extensions";
import StarterKit from "@tiptap/starter-kit";
import { useEffect, useReducer, useRef, useState } from "react";
import type { Person, RoomSession } from "../../session/api";
import { Icon } from "../parts/Icon";
import type { IconName } from "../parts/Icon";
import { colourIndex } from "../parts/person";
import { useText } from "../text";
import type { Messages } from "../text/en";
import { useSnapshot } from "../workspace/useSession";
import { FIELD } from "./field";
import "./notes.css";

const DOCUMENT = "notes/main";

interface CaretUser {
  id?: unknown;
  name?: unknown;
}

function colourOf(user: CaretUser): number {
  return colourIndex(typeof user.id === "string" ? user.id : String(user.name));
}

/** A caret of somebody else. Colours come by class: the page's policy forbids inline styles. */
function drawCaret(user: CaretUser): HTMLElement {
  const caret = document.createElement("span");
  caret.className = `caret person-${colourOf(user)}`;
  const label = document.createElement("span");
  label.className = "caret-name";
  label.textContent = typeof user.name === "string" ? user.name.slice(0, 64) : "";
  caret.append(label);
  return caret;
}

interface NotesProps {
  session: RoomSession;
  me: Person | null;
  onExport: () => void;
}

/** The room's notes, written together. */
export default function Notes({ session, me, onExport }: NotesProps) {
  const t = useText();
  useSnapshot(session); // `writable` follows the state of the room
  const shared = session.open(DOCUMENT);
  const { doc, awareness, writable } = shared;
  const place = useRef<HTMLDivElement>(null);
  const [editor, setEditor] = useState<Editor | null>(null);
  const label = t.notes.editor;
  const empty = t.notes.empty;

  useEffect(() => {
    if (!place.current) return;
    const made = new Editor({
      element: place.current,
      injectCSS: false,
      extensions: [
        // Undo belongs to the shared document; links open only when asked to.
        StarterKit.configure({ undoRedo: false, link: { openOnClick: false } }),
        Placeholder.configure({ placeholder: empty }),
        Collaboration.configure({ document: doc, field: FIELD }),
        CollaborationCaret.configure({
          provider: { awareness },
          user: {},
          render: drawCaret,
          selectionRender: (user: CaretUser) => ({
            class: `caret-selection person-${colourOf(user)}`,
          }),
        }),
      ],
      editorProps: {
        attributes: { role: "textbox", "aria-multiline": "true", "aria-label": label },
      },
    });
    setEditor(made);
    return () => {
      setEditor(null);
      made.destroy();
    };
  }, [doc, awareness, label, empty]);

  useEffect(() => {
    if (editor && editor.isEditable !== writable) editor.setEditable(writable);
  }, [editor, writable]);

  const id = me?.id;
  const name = me?.name;
  useEffect(() => {
    if (editor && id !== undefined) editor.commands.updateUser({ id, name });
  }, [editor, id, name]);

  return (
    <section className="notes" aria-label={t.room.notes}>
      {editor && writable && <NotesToolbar editor={editor} onExport={onExport} />}
      <div className="notes-scroll">
        <div className="sheet" ref={place} />
      </div>
    </section>
  );
}

interface Tool {
  icon: IconName;
  label: (t: Messages) => string;
  active?: (editor: Editor) => boolean;
  possible?: (editor: Editor) => boolean;
  run: (editor: Editor) => void;
}

const TOOLS: readonly (Tool | null)[] = [
  {
    icon: "bold",
    label: (t) => t.notes.bold,
    active: (e) => e.isActive("bold"),
    run: (e) => e.chain().focus().toggleBold().run(),
  },
  {
    icon: "italic",
    label: (t) => t.notes.italic,
    active: (e) => e.isActive("italic"),
    run: (e) => e.chain().focus().toggleItalic().run(),
  },
  {
    icon: "strike",
    label: (t) => t.notes.strike,
    active: (e) => e.isActive("strike"),
    run: (e) => e.chain().focus().toggleStrike().run(),
  },
  null,
  {
    icon: "heading",
    label: (t) => t.notes.heading,
    active: (e) => e.isActive("heading", { level: 2 }),
    run: (e) => e.chain().focus().toggleHeading({ level: 2 }).run(),
  },
  {
    icon: "subheading",
    label: (t) => t.notes.subheading,
    active: (e) => e.isActive("heading", { level: 3 }),
    run: (e) => e.chain().focus().toggleHeading({ level: 3 }).run(),
  },
  {
    icon: "bullets",
    label: (t) => t.notes.bullets,
    active: (e) => e.isActive("bulletList"),
    run: (e) => e.chain().focus().toggleBulletList().run(),
  },
  {
    icon: "numbers",
    label: (t) => t.notes.numbers,
    active: (e) => e.isActive("orderedList"),
    run: (e) => e.chain().focus().toggleOrderedList().run(),
  },
  {
    icon: "quote",
    label: (t) => t.notes.quote,
    active: (e) => e.isActive("blockquote"),
    run: (e) => e.chain().focus().toggleBlockquote().run(),
  },
  {
    icon: "code",
    label: (t) => t.notes.code,
    active: (e) => e.isActive("codeBlock"),
    run: (e) => e.chain().focus().toggleCodeBlock().run(),
  },
  null,
  {
    icon: "undo",
    label: (t) => t.notes.undo,
    possible: (e) => e.can().undo(),
    run: (e) => e.chain().focus().undo().run(),
  },
  {
    icon: "redo",
    label: (t) => t.notes.redo,
    possible: (e) => e.can().redo(),
    run: (e) => e.chain().focus().redo().run(),
  },
];

function NotesToolbar({ editor, onExport }: { editor: Editor; onExport: () => void }) {
  const t = useText();
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    editor.on("transaction", again);
    return () => {
      editor.off("transaction", again);
    };
  }, [editor]);
  return (
    <div className="notes-tools card" role="toolbar" aria-label={t.notes.toolbar}>
      {TOOLS.map((tool, n) =>
        tool === null ? (
          <span key={n} className="tool-gap" aria-hidden="true" />
        ) : (
          <button
            key={tool.icon}
            type="button"
            className={`tool ${tool.active?.(editor) ? "on" : ""}`}
            aria-label={tool.label(t)}
            title={tool.label(t)}
            aria-pressed={tool.active ? tool.active(editor) : undefined}
            disabled={tool.possible ? !tool.possible(editor) : false}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => tool.run(editor)}
          >
            <Icon name={tool.icon} />
          </button>
        ),
      )}
      <span className="tool-gap" aria-hidden="true" />
      <button
        type="button"
        className="tool"
        aria-label={t.export.notes}
        title={t.export.notes}
        onClick={onExport}
      >
        <Icon name="download" />
      </button>
    </div>
  );
}
