import { useCallback, useEffect, useId, useState } from "react";
import type { FormEvent } from "react";
import type { Person, RoomSession, VersionInfo, VersionProblem } from "../../session/api";
import { Field } from "../parts/Field";
import { clockTime, useLanguage, useText } from "../text";
import { VersionDialog } from "./VersionDialog";
import { byDay, dayTitle, LONGEST, midnight, problemOf, reasonWords, whoWords } from "./words";
import "./versions.css";

interface VersionsPanelProps {
  session: RoomSession;
  me: Person | null;
  /** The document whose past is shown: the one that is on the canvas. */
  document: "board" | "notes/main";
}

/** The past of what is on the canvas: look, name, go back. */
export function VersionsPanel({ session, me, document }: VersionsPanelProps) {
  const t = useText();
  const { language } = useLanguage();
  const { versions } = session;
  const [list, setList] = useState<readonly VersionInfo[] | null>(null);
  const [problem, setProblem] = useState<VersionProblem | null>(null);
  const [said, setSaid] = useState("");
  const [shown, setShown] = useState<VersionInfo | null>(null);
  const heading = useId();
  const editing = me !== null && me.role !== "viewer";
  const what = t.versions.of[document === "board" ? "board" : "notes"];

  const load = useCallback(() => {
    let current = true;
    versions.list(document).then(
      (found) => current && setList(found),
      (error: unknown) => current && setProblem(problemOf(error)),
    );
    return () => {
      current = false;
    };
  }, [versions, document]);
  useEffect(() => {
    setList(null);
    setProblem(null);
    setSaid("");
    return load();
  }, [load]);

  const done = (words: string) => {
    setProblem(null);
    setSaid(words);
    load();
  };

  return (
    <div className="versions">
      <h3 id={heading}>{what}</h3>
      {editing && (
        <NameForm
          onName={(label) =>
            versions.name(document, label).then(
              () => done(t.versions.kept(label)),
              (error: unknown) => {
                setProblem(problemOf(error));
                throw error;
              },
            )
          }
        />
      )}
      <p role="alert" className="form-problem">
        {problem ? t.versions.problem[problem] : null}
      </p>
      <p role="status" className="field-hint">
        {said}
      </p>
      <div className="versions-list" role="region" aria-labelledby={heading} tabIndex={0}>
        {list === null && problem === null && <p className="chat-empty">{t.loading}</p>}
        {list?.length === 0 && <p className="chat-empty">{t.versions.empty}</p>}
        {byDay(list ?? []).map(({ day, versions: those }) => (
          <section key={day.getTime()} aria-label={dayTitle(t, day, language)}>
            <h4>{dayTitle(t, day, language)}</h4>
            <ul>
              {those.map((version) => (
                <li key={version.id}>
                  <VersionRow version={version} onShow={() => setShown(version)} />
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
      {shown && (
        <VersionDialog
          session={session}
          version={shown}
          document={document}
          title={t.versions.preview(
            shown.label ?? reasonWords(t, shown),
            dayTitle(t, midnight(new Date(shown.at * 1000)), language),
            clockTime(new Date(shown.at * 1000), language),
          )}
          mayEdit={editing}
          mayRemove={me?.role === "host"}
          onDone={(words) => {
            setShown(null);
            done(words);
          }}
          onClose={() => setShown(null)}
        />
      )}
    </div>
  );
}

function NameForm({ onName }: { onName: (label: string) => Promise<void> }) {
  const t = useText();
  const [label, setLabel] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const name = label.trim();
    if (name === "" || busy) return;
    setBusy(true);
    onName(name)
      .then(
        () => setLabel(""),
        () => {},
      )
      .finally(() => setBusy(false));
  };
  return (
    <form className="version-form" onSubmit={submit}>
      <Field
        label={t.versions.name}
        hint={t.versions.nameHint}
        value={label}
        maxLength={LONGEST}
        onChange={(event) => setLabel(event.target.value)}
      />
      <button type="submit" className="button primary" disabled={busy || label.trim() === ""}>
        {t.versions.keep}
      </button>
    </form>
  );
}

function VersionRow({ version, onShow }: { version: VersionInfo; onShow: () => void }) {
  const t = useText();
  const { language } = useLanguage();
  const time = clockTime(new Date(version.at * 1000), language);
  return (
    <button
      type="button"
      className={`version ${version.label ? "named" : ""}`}
      onClick={onShow}
    >
      <time dateTime={new Date(version.at * 1000).toISOString()}>{time}</time>
      <span className="version-words">
        <strong>{version.label ?? reasonWords(t, version)}</strong>
        <small>{whoWords(t, version)}</small>
      </span>
    </button>
  );
}
