import { useState } from "react";
import type { FormEvent } from "react";
import type { RestClient } from "../../protocol/rest";
import { Field } from "../parts/Field";
import { useText } from "../text";

interface ImportFormProps {
  rest: RestClient;
  act: (work: () => Promise<unknown>) => Promise<boolean>;
}

/** An archive of a room becomes a new room. */
export function ImportForm({ rest, act }: ImportFormProps) {
  const t = useText();
  const [file, setFile] = useState<File | null>(null);
  const [round, setRound] = useState(0);
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState("");
  const take = async (event: FormEvent) => {
    event.preventDefault();
    if (!file) return;
    setBusy(true);
    setDone("");
    const imported = await act(async () => {
      const room = await rest.importRoom(file);
      setDone(t.admin.imported(room.name));
    });
    setBusy(false);
    if (imported) {
      setFile(null);
      setRound((n) => n + 1); // an empty field again
    }
  };
  return (
    <details className="import-room">
      <summary>{t.admin.importTitle}</summary>
      <form className="inline-form" onSubmit={(event) => void take(event)}>
        <Field
          key={round}
          label={t.admin.importFile}
          hint={t.admin.importHint}
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
    </details>
  );
}
