import { useId, useState } from "react";
import type { FormEvent } from "react";
import type { RestClient } from "../../protocol/rest";
import type { Account } from "../../protocol/rest-types";
import { Field } from "../parts/Field";
import { useText } from "../text";
import { SHORTEST } from "./Doors";
import { useListed } from "./useListed";

interface UsersSectionProps {
  rest: RestClient;
  me: string;
  onRefused: (error: unknown) => void;
}

export function UsersSection({ rest, me, onRefused }: UsersSectionProps) {
  const t = useText();
  const { items, act } = useListed<Account>(() => rest.users(), onRefused);
  return (
    <section aria-labelledby="users">
      <h2 id="users">{t.admin.users}</h2>
      <NewUser onAdd={(name, password, admin) => act(() => rest.addUser(name, password, admin))} />
      {items === null ? (
        <p>{t.loading}</p>
      ) : (
        <ul className="people-list card">
          {items.map((account) => (
            <li key={account.name} className="person">
              <span className="person-name">
                {account.name}
                {account.name === me && <small> ({t.admin.youMark})</small>}
                {account.admin && <small className="person-role">{t.admin.administrator}</small>}
              </span>
              {account.name !== me && (
                <RemoveButton
                  name={account.name}
                  onRemove={() => void act(() => rest.removeUser(account.name))}
                />
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function NewUser({
  onAdd,
}: {
  onAdd: (name: string, password: string, admin: boolean) => Promise<boolean>;
}) {
  const t = useText();
  const id = useId();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [admin, setAdmin] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!(await onAdd(name.trim(), password, admin))) return;
    setName("");
    setPassword("");
    setAdmin(false);
  };
  return (
    <form className="inline-form" aria-label={t.admin.newUser} onSubmit={(e) => void submit(e)}>
      <Field
        label={t.admin.name}
        value={name}
        autoComplete="off"
        autoCapitalize="none"
        required
        onChange={(event) => setName(event.target.value)}
      />
      <Field
        label={t.admin.password}
        type="password"
        value={password}
        autoComplete="new-password"
        required
        minLength={SHORTEST}
        onChange={(event) => setPassword(event.target.value)}
      />
      <label className="check" htmlFor={id}>
        <input
          id={id}
          type="checkbox"
          checked={admin}
          onChange={(event) => setAdmin(event.target.checked)}
        />
        {t.admin.administrator}
      </label>
      <button type="submit" className="button primary">
        {t.admin.add}
      </button>
    </form>
  );
}

function RemoveButton({ name, onRemove }: { name: string; onRemove: () => void }) {
  const t = useText();
  const [asking, setAsking] = useState(false);
  if (!asking) {
    return (
      <button
        type="button"
        className="button small"
        aria-label={`${t.admin.remove}: ${name}`}
        onClick={() => setAsking(true)}
      >
        {t.admin.remove}
      </button>
    );
  }
  return (
    <span className="row tight">
      <button type="button" className="button small danger" onClick={onRemove}>
        {t.admin.removeSure}
      </button>
      <button type="button" className="button small" onClick={() => setAsking(false)}>
        {t.admin.keep}
      </button>
    </span>
  );
}
