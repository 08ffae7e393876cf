import { Suspense, lazy, useEffect, useId, useState } from "react";
import type { FormEvent } from "react";
import * as Y from "yjs";
import type { RoomSession, VersionInfo, VersionProblem } from "../../session/api";
import { NotesPreview } from "../notes/NotesPreview";
import { Boundary } from "../parts/Boundary";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import { useText } from "../text";
import { LONGEST, problemOf, reasonWords } from "./words";

const BoardPreview = lazy(() => import("../board/BoardPreview"));

interface VersionDialogProps {
  session: RoomSession;
  version: VersionInfo;
  document: "board" | "notes/main";
  title: string;
  /** Restore and rename. */
  mayEdit: boolean;
  mayRemove: boolean;
  /** It was restored, renamed or removed; the words that say so. */
  onDone: (words: string) => void;
  onClose: () => void;
}

type Step = "look" | "rename" | "restore" | "remove";

/** A version as it was, and the way back to it. */
export function VersionDialog(props: VersionDialogProps) {
  const { session, version, document, title, onDone, onClose } = props;
  const t = useText();
  const [step, setStep] = useState<Step>("look");
  const [problem, setProblem] = useState<VersionProblem | null>(null);
  const [busy, setBusy] = useState(false);
  const doc = useVersion(session, version.id, setProblem);
  const kind = document === "board" ? "board" : "notes";
  const name = version.label ?? reasonWords(t, version);
  const renaming = useId();

  const attempt = (work: Promise<string>) => {
    setBusy(true);
    setProblem(null);
    work
      .then(onDone, (error: unknown) => setProblem(problemOf(error)))
      .finally(() => setBusy(false));
  };
  const restore = async () =>
    (await session.versions.restore(version.id)) ? t.versions.restored : t.versions.unchanged;
  const rename = async (label: string | null) => {
    await session.versions.rename(version.id, label);
    return label === null ? t.versions.unnamed : t.versions.renamed(label);
  };
  const remove = async () => {
    await session.versions.remove(version.id);
    return "";
  };

  return (
    <Dialog title={step === "restore" ? t.versions.restoreTitle(name) : title} onClose={onClose}>
      <div className="version-view">
        {!doc && problem === null && <p className="chat-empty">{t.loading}</p>}
        {doc && document === "notes/main" && <NotesPreview doc={doc} />}
        {doc && document === "board" && (
          <Boundary what={t.versions.of[kind]}>
            <Suspense fallback={<p className="chat-empty">{t.loading}</p>}>
              <BoardPreview doc={doc} session={session} />
            </Suspense>
          </Boundary>
        )}
      </div>
      <p role="alert" className="form-problem">
        {problem ? t.versions.problem[problem] : null}
      </p>
      {step === "rename" && (
        <RenameForm
          id={renaming}
          label={version.label}
          onName={(label) => (label === version.label ? setStep("look") : attempt(rename(label)))}
        />
      )}
      {step === "restore" && <p className="version-says">{t.versions.restoreSays[kind]}</p>}
      <div className="row between version-buttons">
        {step === "look" ? (
          <>
            {props.mayRemove ? (
              <button type="button" className="button quiet" onClick={() => setStep("remove")}>
                {t.versions.remove}
              </button>
            ) : (
              <span />
            )}
            {props.mayEdit && (
              <span className="row">
                <button type="button" className="button" onClick={() => setStep("rename")}>
                  {version.label === null ? t.versions.giveName : t.versions.rename}
                </button>
                <button
                  type="button"
                  className="button primary"
                  disabled={!doc}
                  onClick={() => setStep("restore")}
                >
                  {t.versions.restore}
                </button>
              </span>
            )}
          </>
        ) : (
          <>
            <button
              type="button"
              className="button"
              autoFocus={step !== "rename"}
              onClick={() => setStep("look")}
            >
              {t.versions.notNow}
            </button>
            {step === "rename" ? (
              <button type="submit" form={renaming} className="button primary" disabled={busy}>
                {t.versions.renameNow}
              </button>
            ) : step === "restore" ? (
              <button
                type="button"
                className="button primary"
                disabled={busy}
                onClick={() => attempt(restore())}
              >
                {t.versions.restoreNow}
              </button>
            ) : (
              <button
                type="button"
                className="button danger"
                disabled={busy}
                onClick={() => attempt(remove())}
              >
                {t.versions.removeSure}
              </button>
            )}
          </>
        )}
      </div>
    </Dialog>
  );
}

interface RenameFormProps {
  id: string;
  label: string | null;
  /** null: without a name. */
  onName: (label: string | null) => void;
}

/** Its field; the button that sends it stands with the others. */
function RenameForm({ id, label, onName }: RenameFormProps) {
  const t = useText();
  const [name, setName] = useState(label ?? "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onName(name.trim() || null);
  };
  return (
    <form id={id} onSubmit={submit}>
      <Field
        label={t.versions.newName}
        hint={t.versions.renameHint[label === null ? "unnamed" : "named"]}
        value={name}
        maxLength={LONGEST}
        autoFocus
        onChange={(event) => setName(event.target.value)}
      />
    </form>
  );
}

/** The document of a version; null until it is there. */
function useVersion(
  session: RoomSession,
  id: number,
  onProblem: (problem: VersionProblem) => void,
): Y.Doc | null {
  const [doc, setDoc] = useState<Y.Doc | null>(null);
  useEffect(() => {
    let current = true;
    const fetched = new Y.Doc();
    session.versions.state(id).then(
      (state) => {
        if (!current) return;
        try {
          Y.applyUpdate(fetched, state);
          setDoc(fetched);
        } catch {
          onProblem("failed");
        }
      },
      (error: unknown) => current && onProblem(problemOf(error)),
    );
    return () => {
      current = false;
      fetched.destroy();
    };
  }, [session, id, onProblem]);
  return doc;
}
