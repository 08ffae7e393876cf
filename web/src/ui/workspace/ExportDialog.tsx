import { useEffect, useRef, useState } from "react";
import type { DocumentFormat, RoomSession } from "../../session/api";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";
import { saveFile } from "../parts/save";
import { useText } from "../text";
import type { Messages } from "../text/en";

const BOARD: readonly (readonly [DocumentFormat, string])[] = [
  ["png", "PNG"],
  ["svg", "SVG"],
  ["pdf", "PDF"],
  ["excalidraw", "Excalidraw"],
];
const NOTES: readonly (readonly [DocumentFormat, string])[] = [
  ["docx", "DOCX"],
  ["html", "HTML"],
  ["md", "Markdown"],
];

interface ExportDialogProps {
  session: RoomSession;
  roomName: string;
  /** Viewers take single documents, not the whole room. */
  wholeRoom: boolean;
  onClose: () => void;
}

/** The room, its board or its notes as files. */
export function ExportDialog({ session, roomName, wholeRoom, onClose }: ExportDialogProps) {
  const t = useText();
  const [busy, setBusy] = useState<string | null>(null);
  const [progress, setProgress] = useState<number | null>(null);
  const [done, setDone] = useState("");
  const [problem, setProblem] = useState("");
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);

  const perform = async (what: string, name: string, make: () => Promise<Blob>) => {
    setBusy(what);
    setDone("");
    setProblem("");
    try {
      saveFile(await make(), name);
      setDone(t.export.saved(name));
    } catch (error) {
      if (!stop.current?.signal.aborted) setProblem(why(t, error));
    } finally {
      stop.current = null;
      setBusy(null);
      setProgress(null);
    }
  };
  const exportRoom = () => {
    const control = new AbortController();
    stop.current = control;
    setProgress(0);
    void perform("room", `${roomName}.zip`, () =>
      session.exportRoom(setProgress, control.signal),
    );
  };
  const choices = (document: string, title: string, formats: typeof BOARD) => (
    <section aria-label={title} className="export-part">
      <h3>{title}</h3>
      <div className="row">
        {formats.map(([format, label]) => {
          const name = `${roomName} – ${title}.${format}`;
          return (
            <button
              key={format}
              type="button"
              className="button"
              aria-label={t.export.as(title, label)}
              disabled={busy !== null}
              onClick={() =>
                void perform(document + format, name, () =>
                  session.exportDocument(document, format),
                )
              }
            >
              {busy === document + format ? t.export.working : label}
            </button>
          );
        })}
      </div>
    </section>
  );

  return (
    <Dialog title={t.export.title} onClose={onClose}>
      {wholeRoom && (
        <section aria-label={t.export.room} className="export-part">
          <h3>{t.export.room}</h3>
          <p className="field-hint">{t.export.roomHint}</p>
          {progress === null ? (
            <button
              type="button"
              className="button primary"
              disabled={busy !== null}
              onClick={exportRoom}
            >
              <Icon name="download" size="1.125rem" /> {t.export.start}
            </button>
          ) : (
            <div className="row">
              <progress max={1} value={progress} aria-label={t.export.progress} />
              <button type="button" className="button" onClick={() => stop.current?.abort()}>
                {t.export.cancel}
              </button>
            </div>
          )}
        </section>
      )}
      {choices("board", t.room.whiteboard, BOARD)}
      {choices("notes/main", t.room.notes, NOTES)}
      <p role="status" className="field-hint">
        {done}
      </p>
      <p role="alert" className="form-problem">
        {problem}
      </p>
    </Dialog>
  );
}

function why(t: Messages, error: unknown): string {
  const { status, message } = error as { status?: number; message?: string };
  if (status === 404) return t.export.empty;
  if (status === 429) return t.export.later;
  return t.export.failed(message ?? "");
}
