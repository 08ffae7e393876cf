/** Any room, by touch: Hub ID and PIN on keys as large as a thumb. */
import { useEffect, useRef, useState } from "react";
import type { FormEvent } from "react";
import type { JoinProblem } from "../../session/api";
import { Dialog } from "../parts/Dialog";
import { Field } from "../parts/Field";
import { groupHubId } from "../parts/route";
import { useText } from "../text";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"] as const;
const HUB_ID_DIGITS = 9;
const PIN_LONGEST = 12;

interface RoomPadProps {
  problem: string | null;
  onJoin: (hubId: string, pin: string) => Promise<JoinProblem | null>;
  onClose: () => void;
}

export function RoomPad({ problem, onJoin, onClose }: RoomPadProps) {
  const t = useText();
  const [hubId, setHubId] = useState("");
  const [pin, setPin] = useState("");
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  /** The field that the keys write into. */
  const [active, setActive] = useState<"id" | "pin">("id");

  const focus = (which: "id" | "pin") =>
    form.current?.querySelector<HTMLInputElement>(`input[name=${which}]`)?.focus();
  // After the dialog has opened, which looks for a focus of its own.
  useEffect(() => focus("id"), []);
  const typeId = (digits: string) => {
    const next = digits.replace(/\D/g, "").slice(0, HUB_ID_DIGITS);
    setHubId(next);
    if (next.length === HUB_ID_DIGITS && next !== hubId) {
      setActive("pin");
      focus("pin");
    }
  };
  const typePin = (text: string) => setPin(text.trim().slice(0, PIN_LONGEST));
  const press = (key: string) => (active === "id" ? typeId(hubId + key) : typePin(pin + key));
  const erase = () => {
    if (active === "pin" && pin !== "") setPin(pin.slice(0, -1));
    else {
      setActive("id");
      setHubId(hubId.slice(0, -1));
    }
  };
  const ready = hubId.length === HUB_ID_DIGITS && !busy;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!ready) return;
    setBusy(true);
    const refused = await onJoin(hubId, pin);
    setBusy(false);
    if (refused?.kind === "wrong") {
      setPin("");
      setActive("pin");
      focus("pin");
    }
  };

  return (
    <Dialog title={t.hub.otherTitle} onClose={onClose}>
      <form className="pad" ref={form} noValidate onSubmit={(event) => void submit(event)}>
        <Field
          label={t.join.hubId}
          name="id"
          className={`digits ${active === "id" ? "active" : ""}`}
          // The keys below are the keyboard; a real one works as well.
          inputMode="none"
          autoComplete="off"
          placeholder="000 000 000"
          value={groupHubId(hubId)}
          onFocus={() => setActive("id")}
          onChange={(event) => typeId(event.target.value)}
        />
        <Field
          label={t.join.pin}
          name="pin"
          className={`digits ${active === "pin" ? "active" : ""}`}
          inputMode="none"
          autoComplete="off"
          value={pin}
          onFocus={() => setActive("pin")}
          onChange={(event) => typePin(event.target.value)}
        />
        <p role="alert" className="form-problem">
          {problem}
        </p>
        <div className="pad-keys" role="group" aria-label={t.hub.digit}>
          {KEYS.map((key) => (
            <button key={key} type="button" className="button" onClick={() => press(key)}>
              {key}
            </button>
          ))}
          <button type="button" className="button pad-delete" onClick={erase}>
            {t.hub.delete}
          </button>
        </div>
        <button type="submit" className="button primary large" disabled={!ready}>
          {busy ? t.join.joining : t.join.button}
        </button>
      </form>
    </Dialog>
  );
}
