/** The two ways into administration: the one-time code, and a name with its password. */
import { useState } from "react";
import type { FormEvent } from "react";
import type { LoginAnswer } from "../../protocol/rest-types";
import { Field } from "../parts/Field";
import { useText } from "../text";
import { refusalText, restClient, statusOf } from "./rest";

/** As the server wants it of a new password. */
export const SHORTEST = 6;

interface DoorProps {
  onIn: (answer: LoginAnswer) => void;
}

export function LogIn({ onIn, note }: DoorProps & { note: string | null }) {
  const t = useText();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string | null>(note);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      onIn(await restClient(null).logIn(name.trim(), password));
    } catch (error) {
      setProblem(statusOf(error) === 401 ? t.admin.wrong : refusalText(t, error));
      setBusy(false);
    }
  };
  return (
    <form className="card form-card" onSubmit={(event) => void submit(event)}>
      <h1>{t.admin.logInTitle}</h1>
      <Field
        label={t.admin.name}
        value={name}
        autoComplete="username"
        autoCapitalize="none"
        autoFocus
        required
        onChange={(event) => setName(event.target.value)}
      />
      <Field
        label={t.admin.password}
        type="password"
        value={password}
        autoComplete="current-password"
        required
        onChange={(event) => setPassword(event.target.value)}
      />
      <div role="alert" className="form-problem">
        {problem}
      </div>
      <button type="submit" className="button primary large" disabled={busy}>
        {t.admin.logIn}
      </button>
    </form>
  );
}

export function SetUp({ code, onIn, onUsed }: DoorProps & { code: string; onUsed: () => void }) {
  const t = useText();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (password.length < SHORTEST) return setProblem(t.admin.passwordShort(SHORTEST));
    if (password !== again) return setProblem(t.admin.passwordsDiffer);
    setBusy(true);
    setProblem(null);
    try {
      onIn(await restClient(null).setUp(code, name.trim(), password));
    } catch (error) {
      const status = statusOf(error);
      if (status === 401 || status === 403 || status === 404 || status === 410) return onUsed();
      setProblem(refusalText(t, error));
      setBusy(false);
    }
  };
  return (
    <form className="card form-card" onSubmit={(event) => void submit(event)}>
      <h1>{t.admin.setupTitle}</h1>
      <p className="lead">{t.admin.setupLead}</p>
      <Field
        label={t.admin.name}
        value={name}
        autoComplete="username"
        autoCapitalize="none"
        autoFocus
        required
        onChange={(event) => setName(event.target.value)}
      />
      <Field
        label={t.admin.password}
        type="password"
        value={password}
        hint={t.admin.passwordShort(SHORTEST)}
        autoComplete="new-password"
        required
        onChange={(event) => setPassword(event.target.value)}
      />
      <Field
        label={t.admin.passwordAgain}
        type="password"
        value={again}
        autoComplete="new-password"
        required
        onChange={(event) => setAgain(event.target.value)}
      />
      <div role="alert" className="form-problem">
        {problem}
      </div>
      <button type="submit" className="button primary large" disabled={busy}>
        {t.admin.setupButton}
      </button>
    </form>
  );
}
