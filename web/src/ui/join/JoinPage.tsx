import { useRef, useState } from "react";
import type { FormEvent } from "react";
import type { JoinProblem, RoomSession } from "../../session/api";
import { stopTracks, usePreview } from "../media/devices";
import { Field } from "../parts/Field";
import { keep, kept } from "../parts/kept";
import { PageHead } from "../parts/PageHead";
import { relayWish } from "../parts/relay";
import { useServices } from "../services";
import { useText } from "../text";
import { HubIdField } from "./HubIdField";
import { PreviewCard } from "./PreviewCard";
import { joinProblemOf, joinProblemText, useCountdown } from "./problems";

interface JoinPageProps {
  hubId: string;
  pin: string;
  onJoined: (session: RoomSession, hubId: string, pin: string) => void;
}

interface Missing {
  name: boolean;
  hubId: boolean;
}

/** The door: a look into the mirror, a name, a room. */
export function JoinPage({ hubId: givenHubId, pin: givenPin, onJoined }: JoinPageProps) {
  const t = useText();
  const { join } = useServices();
  const preview = usePreview();
  const [name, setName] = useState(kept("name") ?? "");
  const [hubId, setHubId] = useState(givenHubId);
  const [pin, setPin] = useState(givenPin);
  const [missing, setMissing] = useState<Missing>({ name: false, hubId: false });
  const [problem, setProblem] = useState<JoinProblem | null>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const wait = useCountdown(problem);
  const problemText =
    problem && !(problem.kind === "later" && wait === 0)
      ? joinProblemText(t, problem, wait)
      : null;

  const enter = async () => {
    const session = await join(
      { hubId, pin: pin === "" ? null : pin, name: name.trim() },
      relayWish(),
    );
    keep("name", name.trim());
    session.setMicOn(preview.micOn);
    session.setCamOn(preview.camOn && preview.camera === null);
    // Who is quicker than the camera joins at once; it follows.
    void preview.take().then((stream) => {
      if (session.snapshot().save.kind === "ended") stopTracks(stream);
      else session.setCamera(stream);
    });
    onJoined(session, hubId, pin);
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const lacks = { name: name.trim() === "", hubId: hubId.length !== 9 };
    setMissing(lacks);
    if (lacks.name || lacks.hubId) {
      form.current?.querySelector<HTMLInputElement>(lacks.name ? "input" : ".digits input")?.focus();
      return;
    }
    setBusy(true);
    setProblem(null);
    try {
      await enter();
    } catch (error) {
      setProblem(joinProblemOf(error));
      setBusy(false);
    }
  };

  return (
    <div className="page">
      <PageHead />
      <main className="join">
        <PreviewCard preview={preview} />
        <form className="join-form" ref={form} noValidate onSubmit={(event) => void submit(event)}>
          <div>
            <h1>{t.join.title}</h1>
            <p className="lead">{t.join.lead}</p>
          </div>
          <Field
            label={t.join.name}
            value={name}
            maxLength={64}
            autoComplete="name"
            autoFocus={name === ""}
            problem={missing.name && name.trim() === "" ? t.join.nameMissing : null}
            onChange={(event) => setName(event.target.value)}
          />
          <div className="field-row">
            <HubIdField
              value={hubId}
              onChange={setHubId}
              autoFocus={name !== "" && hubId === ""}
              problem={missing.hubId && hubId.length !== 9 ? t.join.hubIdMissing : null}
            />
            <Field
              label={t.join.pin}
              className="digits pin"
              inputMode="numeric"
              autoComplete="off"
              maxLength={12}
              value={pin}
              onChange={(event) => setPin(event.target.value.trim())}
            />
          </div>
          <div role="alert" className="form-problem">
            {problemText}
          </div>
          <button type="submit" className="button primary large" disabled={busy || wait > 0}>
            {busy ? t.join.joining : t.join.button}
          </button>
          <p className="join-other">
            <a href={`/present${hubId ? `#id=${hubId}` : ""}`}>{t.join.presentInstead}</a>
            <a href="/admin">{t.join.administer}</a>
            <a href="/netcheck">{t.join.checkNetwork}</a>
          </p>
        </form>
      </main>
    </div>
  );
}
