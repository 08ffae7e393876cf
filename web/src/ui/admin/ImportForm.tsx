import { useState } from "react";
import type { FormEvent } from "react";
import type { RestClient } from "../../protocol/rest";
import { Field } from "../parts/Field";
import { useText } from "../text";
import { refusalText, statusOf } from "./rest";

interface ImportFormProps {
  rest: RestClient;
  act: (work: () => Promise<unknown>) => Promise<boolean>;
  onRefused: (error: unknown) => void;
}

/** An archive of a room becomes a new room. */
export function ImportForm({ rest, act, onRefused }: ImportFormProps) {
  const t = useText();
  const [file, setFile] = useState<File | null>(null);
  const [round, setRound] = useState(0);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState("");
  const [problem, setProblem] = useState("");
  const take = async (event: FormEvent) => {
    event.preventDefault();
    if (!file) return;
    setBusy(true);
    setDone("");
    setProblem("");
    try {
      const room = await rest.importRoom(file);
      setDone(t.admin.imported(room.name));
      setFile(null);
      setRound((n) => n + 1); // an empty field again
      await act(() => Promise.resolve());
    } catch (error) {
      if (statusOf(error) === 401) onRefused(error);
      else setProblem(refusalText(t, error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <details className="import-room">
      <summary>{t.admin.importTitle}</summary>
      <p className="field-hint">{t.admin.importHint}</p>
      <form className="inline-form" onSubmit={(event) => void take(event)}>
        <Field
          key={round}
          label={t.admin.importFile}
          type="file"
          accept=".zip,application/zip"
          onChange={(event) => setFile(event.target.files?.[0] ?? null)}
        />
        <button type="submit" className="button primary" disabled={busy || !file}>
          {busy ? t.admin.importing : t.admin.importButton}
        </button>
      </form>
      <p role="status" className="field-hint">
        {done}
      </p>
      <p role="alert" className="form-problem">
        {problem}
      </p>
    </details>
  );
}
