/** Activation codes: made, shown once, revoked. */
import { useId, useState } from "react";
import type { FormEvent, ReactNode } from "react";
import type { HubCode } from "../../../protocol/hub-types";
import type { HubCalls } from "../../../protocol/rest-hubs";
import { CopyButton } from "../../parts/CopyButton";
import { Field } from "../../parts/Field";
import { SureButton } from "../../parts/SureButton";
import { momentWords, useLanguage, useText } from "../../text";
import { useListed } from "../useListed";
import { codeState } from "./words";

const HOUR_S = 3600;
const EXPIRIES = {
  hour: HOUR_S,
  day: 24 * HOUR_S,
  tenDays: 240 * HOUR_S,
  quarter: 2160 * HOUR_S,
} as const;
type Expiry = keyof typeof EXPIRIES;

interface CodesProps {
  calls: HubCalls;
  onRefused: (error: unknown) => void;
}

export function Codes({ calls, onRefused }: CodesProps) {
  const t = useText();
  const { language } = useLanguage();
  const { items, act } = useListed<HubCode>(() => calls.codes(), onRefused);
  const [made, setMade] = useState<HubCode | null>(null);
  const now = Date.now() / 1000;
  const good = items?.filter((code) => codeState(code, now) === "good") ?? [];
  const spent = items?.filter((code) => codeState(code, now) !== "good") ?? [];
  const remove = (code: HubCode) => {
    if (made?.id === code.id) setMade(null);
    void act(() => calls.removeCode(code.id));
  };
  const when = (code: HubCode) => momentWords(new Date(code.expires_at * 1000), language);
  return (
    <div className="hub-codes">
      <h3>{t.hubs.codes}</h3>
      <NewCode
        onMake={(code) =>
          act(async () => {
            setMade(await calls.addCode(code));
          })
        }
      />
      {made?.code && <MadeCode code={made.code} />}
      {good.length > 0 && (
        <ul className="people-list card">
          {good.map((code) => (
            <CodeRow
              key={code.id}
              code={code}
              words={`${t.hubs.codeLeft(code.uses_left)}, ${t.hubs.codeUntil(when(code))}`}
            >
              <SureButton
                label={t.hubs.revoke}
                sure={t.hubs.revokeSure}
                name={code.name || t.hubs.unnamedCode}
                danger
                onSure={() => remove(code)}
              />
            </CodeRow>
          ))}
        </ul>
      )}
      {spent.length > 0 && (
        <details className="spent-codes">
          <summary>{t.hubs.spentCodes(spent.length)}</summary>
          <ul className="people-list card">
            {spent.map((code) => (
              <CodeRow
                key={code.id}
                code={code}
                words={
                  codeState(code, now) === "used"
                    ? t.hubs.codeUsed(code.uses)
                    : t.hubs.codeExpired(when(code))
                }
              >
                <button
                  type="button"
                  className="button"
                  aria-label={`${t.hubs.deleteCode}: ${code.name || t.hubs.unnamedCode}`}
                  onClick={() => remove(code)}
                >
                  {t.hubs.deleteCode}
                </button>
              </CodeRow>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

interface CodeRowProps {
  code: HubCode;
  words: string;
  /** What can be done about it. */
  children: ReactNode;
}

function CodeRow({ code, words, children }: CodeRowProps) {
  const t = useText();
  return (
    <li className="person">
      <span className="person-name">
        {code.name || t.hubs.unnamedCode}
        <small className="person-role">{words}</small>
      </span>
      {children}
    </li>
  );
}

interface NewCodeProps {
  onMake: (code: { name?: string; uses: number; expires_in_s: number }) => Promise<boolean>;
}

function NewCode({ onMake }: NewCodeProps) {
  const t = useText();
  const id = useId();
  const [name, setName] = useState("");
  const [uses, setUses] = useState("1");
  const [expiry, setExpiry] = useState<Expiry>("tenDays");
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    const words = name.trim();
    const done = await onMake({
      ...(words === "" ? {} : { name: words }),
      uses: Math.max(1, Math.round(Number(uses)) || 1),
      expires_in_s: EXPIRIES[expiry],
    });
    setBusy(false);
    if (done) setName("");
  };
  return (
    <form className="inline-form" aria-label={t.hubs.newCode} onSubmit={(event) => void submit(event)}>
      <Field
        label={t.hubs.codeName}
        value={name}
        maxLength={80}
        onChange={(event) => setName(event.target.value)}
      />
      <Field
        label={t.hubs.codeUses}
        className="narrow"
        type="number"
        min={1}
        max={1000}
        value={uses}
        onChange={(event) => setUses(event.target.value)}
      />
      <div className="field narrow">
        <label htmlFor={id}>{t.hubs.codeExpiry}</label>
        <select
          id={id}
          className="select"
          value={expiry}
          onChange={(event) => setExpiry(event.target.value as Expiry)}
        >
          {(Object.keys(EXPIRIES) as Expiry[]).map((key) => (
            <option key={key} value={key}>
              {t.hubs.expiries[key]}
            </option>
          ))}
        </select>
      </div>
      <button type="submit" className="button primary" disabled={busy}>
        {t.hubs.makeCode}
      </button>
    </form>
  );
}

function MadeCode({ code }: { code: string }) {
  const t = useText();
  const command = `mosaic hub run --server ${location.origin} --kiosk --enrol-code ${code}`;
  return (
    <div className="card made-code" role="status">
      <div className="row between">
        <strong className="code">{code}</strong>
        <CopyButton text={code} label={t.hubs.copyCode} />
      </div>
      <p className="field-hint">{t.hubs.codeMade}</p>
      <p>{t.hubs.onTheBox}</p>
      <div className="row between">
        <code>{command}</code>
        <CopyButton text={command} label={t.hubs.copyCommand} />
      </div>
    </div>
  );
}
