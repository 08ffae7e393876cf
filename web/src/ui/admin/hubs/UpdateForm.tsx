import { useId, useState } from "react";
import type { FormEvent } from "react";
import type { Hub, HubUpdatePolicy } from "../../../protocol/hub-types";
import { Field } from "../../parts/Field";
import { SureButton } from "../../parts/SureButton";
import { sizeWords } from "../../parts/words";
import { useText } from "../../text";
import { windowOf } from "./words";

interface UpdateFormProps {
  hub: Hub;
  waiting: boolean;
  onSave: (update: Partial<HubUpdatePolicy>) => void;
  onCheck: () => void;
  onInstall: () => void;
}

/** Which updates a hub takes and when; what waits, and installing it now. */
export function UpdateForm({ hub, waiting, onSave, onCheck, onInstall }: UpdateFormProps) {
  const t = useText();
  const id = useId();
  const { window } = hub.update;
  const [text, setText] = useState(window ? `${window.start}-${window.end}` : "");
  const [wrong, setWrong] = useState(false);
  const { available, notes, size } = hub.status?.update ?? {};
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
      <p>
        {available ? t.hubs.available(available) : t.hubs.upToDate}
        {available && typeof size === "number" && ` ${sizeWords(size)}`}
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
          hint={t.hubs.windowHint}
          problem={wrong ? t.hubs.windowHint : null}
          value={text}
          placeholder="02:00-04:00"
          onChange={(event) => setText(event.target.value)}
        />
        <button type="submit" className="button">
          {t.hubs.save}
        </button>
      </form>
      <div className="row">
        <button type="button" className="button" disabled={waiting} onClick={onCheck}>
          {t.hubs.check}
        </button>
        {available && (
          <SureButton
            label={t.hubs.install}
            sure={t.hubs.installSure}
            name={hub.name}
            disabled={waiting}
            onSure={onInstall}
          />
        )}
      </div>
    </>
  );
}
