/** One hub: what it is, what it shall do, and help when something is wrong. */
import { useEffect, useId, useState } from "react";
import type { FormEvent } from "react";
import type { Hub, HubChange, HubCommandName } from "../../../protocol/hub-types";
import type { HubCalls } from "../../../protocol/rest-hubs";
import { CommandLine } from "../../hub/CommandLine";
import { HubControls } from "../../hub/HubControls";
import { useCommand } from "../../hub/useCommand";
import { HubIdField } from "../../join/HubIdField";
import { Field } from "../../parts/Field";
import { saveFile } from "../../parts/save";
import { SureButton } from "../../parts/SureButton";
import { languages, useText } from "../../text";
import { refusalText } from "../rest";
import { HubFacts } from "./HubFacts";
import { NetworkPart } from "./NetworkPart";
import { UpdateForm } from "./UpdateForm";

const WATCH_MS = 1_000;

interface HubPanelProps {
  hub: Hub;
  calls: HubCalls;
  admin: boolean;
  reload: () => Promise<void>;
}

export function HubPanel({ hub, calls, admin, reload }: HubPanelProps) {
  const t = useText();
  const [said, setSaid] = useState<{ text: string; bad: boolean }>({ text: "", bad: false });
  const [picture, setPicture] = useState<string | null>(null);
  useEffect(() => () => void (picture && URL.revokeObjectURL(picture)), [picture]);

  const file = (command: HubCommandName, content: Blob) => {
    if (command === "screenshot") setPicture(URL.createObjectURL(content));
    else saveFile(content, `${hub.name}.log`);
  };
  const { state, run } = useCommand(calls, hub.hub_id, file);
  const waiting = state.kind === "waiting";
  const aboutUpdates = state.kind !== "none" && state.command.startsWith("update-");

  const act = async (work: () => Promise<unknown>, done = "") => {
    try {
      await work();
      setSaid({ text: done, bad: false });
    } catch (error) {
      setSaid({ text: refusalText(t, error), bad: true });
    }
    await reload();
  };
  // Somebody watches an update: every second counts.
  const watching = aboutUpdates && waiting;
  useEffect(() => {
    if (!watching) return;
    let gone = false;
    const look = async () => {
      while (!gone) {
        await reload();
        await new Promise((wake) => setTimeout(wake, WATCH_MS));
      }
    };
    void look();
    return () => {
      gone = true;
    };
  }, [watching, reload]);
  const change = (wish: HubChange, done = "") => act(() => calls.change(hub.hub_id, wish), done);

  return (
    <div className="hub-panel">
      <HubFacts hub={hub} />
      <p role="status" className={said.bad ? "form-problem" : said.text ? "field-hint" : "sr-only"}>
        {said.text}
      </p>

      <h4>{t.hubs.control}</h4>
      <HubControls
        name={hub.name}
        desired={hub.desired}
        onChange={(desired) => change({ desired })}
      />
      <SendForm hub={hub} onSend={(room) => void change({ desired: { room } }, t.hubs.saved)} />

      {admin && (
        <>
          <NameForm hub={hub} onSave={(wish) => void change(wish, t.hubs.saved)} />
          <h4>{t.hubs.updates}</h4>
          <UpdateForm
            hub={hub}
            waiting={waiting}
            answer={aboutUpdates && <CommandLine state={state} />}
            onSave={(update) => void change({ update }, t.hubs.saved)}
            onCheck={() => void run("update-check").then(reload)}
            onInstall={() => void run("update-install").then(reload)}
          />
        </>
      )}

      <NetworkPart
        hub={hub}
        calls={calls}
        waiting={waiting}
        onCheck={admin ? () => void run("check-network").then(reload) : null}
      />

      <h4>{t.hubs.support}</h4>
      <div className="row">
        <button
          type="button"
          className="button"
          disabled={waiting}
          onClick={() => void run("screenshot")}
        >
          {t.hubs.screenshot}
        </button>
        {admin && (
          <>
            <button type="button" className="button" disabled={waiting} onClick={() => void run("log")}>
              {t.hubs.log}
            </button>
            <SureButton
              label={t.hubs.restart}
              sure={t.hubs.restartSure}
              no={t.hubs.notNow}
              name={hub.name}
              disabled={waiting}
              onSure={() => void run("restart")}
            />
          </>
        )}
      </div>
      {!aboutUpdates && <CommandLine state={state} />}
      {picture && <img className="hub-shot" src={picture} alt={t.hubs.screenshotOf(hub.name)} />}

      {admin && (
        <div className="row between hub-remove">
          <p className="field-hint">{t.hubs.removeHint}</p>
          <SureButton
            label={t.hubs.remove}
            sure={t.hubs.removeSure}
            name={hub.name}
            danger
            onSure={() => void act(() => calls.remove(hub.hub_id))}
          />
        </div>
      )}
    </div>
  );
}

function SendForm({ hub, onSend }: { hub: Hub; onSend: (room: string | null) => void }) {
  const t = useText();
  const [room, setRoom] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (room.length !== 9) return;
    onSend(room);
    setRoom("");
  };
  return (
    <form className="inline-form" noValidate onSubmit={submit}>
      <HubIdField value={room} onChange={setRoom} label={t.hubs.send} />
      <button type="submit" className="button" disabled={room.length !== 9}>
        {t.hubs.sendNow}
      </button>
      {hub.desired.room !== null && (
        <SureButton label={t.hubs.leave} sure={t.hubs.leaveSure} onSure={() => onSend(null)} />
      )}
    </form>
  );
}

function NameForm({ hub, onSave }: { hub: Hub; onSave: (change: HubChange) => void }) {
  const t = useText();
  const id = useId();
  const [name, setName] = useState(hub.name);
  const [calendar, setCalendar] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const url = calendar.trim();
    onSave({
      ...(name.trim() === "" || name.trim() === hub.name ? {} : { name: name.trim() }),
      ...(url === "" ? {} : { calendar_url: url }),
    });
    setCalendar("");
  };
  return (
    <form className="inline-form" onSubmit={submit}>
      <Field
        label={t.hubs.rename}
        value={name}
        maxLength={80}
        required
        onChange={(event) => setName(event.target.value)}
      />
      <Field
        label={t.hubs.calendar}
        type="url"
        value={calendar}
        placeholder={hub.has_calendar ? t.hubs.calendarSet : "https://"}
        autoComplete="off"
        onChange={(event) => setCalendar(event.target.value)}
      />
      <div className="field narrow">
        <label htmlFor={id}>{t.language}</label>
        <select
          id={id}
          className="select"
          value={hub.desired.locale.slice(0, 2)}
          onChange={(event) => onSave({ desired: { locale: event.target.value } })}
        >
          {Object.entries(languages).map(([tag, table]) => (
            <option key={tag} value={tag}>
              {table.languageName}
            </option>
          ))}
        </select>
      </div>
      <button type="submit" className="button">
        {t.hubs.save}
      </button>
      {hub.has_calendar && (
        <SureButton
          label={t.hubs.calendarForget}
          sure={t.hubs.calendarForgetSure}
          onSure={() => onSave({ calendar_url: null })}
        />
      )}
    </form>
  );
}
