import { useId, useState } from "react";
import type { FormEvent, ReactNode } from "react";
import type { Hub, HubUpdatePolicy } from "../../../protocol/hub-types";
import { Field } from "../../parts/Field";
import { SureButton } from "../../parts/SureButton";
import { sizeWords } from "../../parts/words";
import { useText } from "../../text";
import { updateWords, windowOf } from "./words";

interface UpdateFormProps {
  hub: Hub;
  waiting: boolean;
  /** What became of the last command, if it was one of these. */
  answer: ReactNode;
  onSave: (update: Partial<HubUpdatePolicy>) => void;
  onCheck: () => void;
  onInstall: () => void;
}

/** Which updates a hub takes and when; what waits, and installing it now. */
export function UpdateForm({ hub, waiting, answer, onSave, onCheck, onInstall }: UpdateFormProps) {
  const t = useText();
  const id = useId();
  const { window } = hub.update;
  const [text, setText] = useState(window ? `${window.start}-${window.end}` : "");
  const [wrong, setWrong] = useState(false);
  const { available, notes, size, state } = hub.status?.update ?? {};
  const underWay = state === "installing" || state === "restart";
  const channels = new Set([...Object.keys(t.hubs.channels), hub.update.channel]);
  const words = t.hubs.channels as Record<string, string>;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const found = windowOf(text);
    setWrong(found === undefined);
    if (found !== undefined) onSave({ window: found });
  };
  return (
    <>
      <p role="status" className={state === "taken-back" ? "update-state signal" : "update-state"}>
        {updateWords(t, hub)}
        {available && !underWay && typeof size === "number" && ` ${t.hubs.toFetch(sizeWords(size))}`}
      </p>
      {available && notes && <p className="update-notes lead">{notes}</p>}
      <form className="inline-form" noValidate onSubmit={submit}>
        <div className="field narrow">
          <label htmlFor={id}>{t.hubs.channel}</label>
          <select
            id={id}
            className="select"
            value={hub.update.channel}
            onChange={(event) => onSave({ channel: event.target.value })}
          >
            {[...channels].map((channel) => (
              <option key={channel} value={channel}>
                {words[channel] ?? channel}
              </option>
            ))}
          </select>
        </div>
        <Field
          label={t.hubs.window}
          aria-invalid={wrong || undefined}
          aria-describedby={`${id}-window`}
          value={text}
          placeholder="02:00-04:00"
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="button">
          {t.hubs.save}
        </button>
      </form>
      <p id={`${id}-window`} className={wrong ? "field-problem" : "field-hint"}>
        {t.hubs.windowHint}
      </p>
      <div className="row">
        <button type="button" className="button" disabled={waiting || underWay} onClick={onCheck}>
          {t.hubs.check}
        </button>
        {available && (
          <SureButton
            label={state === "taken-back" ? t.hubs.installAgain : t.hubs.install}
            sure={t.hubs.installSure}
            no={t.hubs.notNow}
            name={hub.name}
            disabled={waiting || underWay}
            onSure={onInstall}
          />
        )}
      </div>
      {!underWay && answer}
    </>
  );
}
