import { useEffect, useState } from "react";
import type { FormEvent } from "react";
import type { JoinProblem, RoomSession } from "../../session/api";
import { HubIdField } from "../join/HubIdField";
import { joinProblemOf, joinProblemText, useCountdown } from "../join/problems";
import { stopTracks } from "../media/devices";
import { StreamVideo } from "../media/StreamVideo";
import { Field } from "../parts/Field";
import { PageHead } from "../parts/PageHead";
import { relayWish } from "../parts/relay";
import { useServices } from "../services";
import { useText } from "../text";
import { StateLine } from "../workspace/StateLine";
import { leaveIfInside, useSnapshot } from "../workspace/useSession";

type Trouble = { kind: "join"; problem: JoinProblem } | { kind: "none-chosen" } | { kind: "digits" };

/** A guest presents in ten seconds: nine digits, a PIN, one button. */
export function PresentPage({ hubId: givenHubId, pin: givenPin }: { hubId: string; pin: string }) {
  const t = useText();
  const { join } = useServices();
  const [hubId, setHubId] = useState(givenHubId);
  const [pin, setPin] = useState(givenPin);
  const [name, setName] = useState("");
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [session, setSession] = useState<RoomSession | null>(null);
  const wait = useCountdown(trouble?.kind === "join" ? trouble.problem : null);

  if (session) return <Presenting session={session} onDone={() => setSession(null)} />;
  const able = typeof navigator.mediaDevices?.getDisplayMedia === "function";

  const start = async () => {
    // The chooser must come first: the browser wants it right after the click.
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({ video: true, audio: true });
    } catch {
      setTrouble({ kind: "none-chosen" });
      return;
    }
    try {
      const request = { hubId, pin: pin || null, name: name.trim() || t.present.defaultName };
      const joined = await join(request, relayWish());
      joined.setMicOn(false);
      joined.setCamOn(false);
      stream.getVideoTracks()[0]?.addEventListener("ended", () => joined.leave());
      joined.shareScreen(stream);
      setSession(joined);
    } catch (error) {
      stopTracks(stream);
      setTrouble({ kind: "join", problem: joinProblemOf(error) });
    }
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (hubId.length !== 9) {
      setTrouble({ kind: "digits" });
      return;
    }
    setBusy(true);
    setTrouble(null);
    void start().finally(() => setBusy(false));
  };

  const words =
    trouble === null
      ? null
      : trouble.kind === "none-chosen"
        ? t.present.chooseNothing
        : trouble.kind === "digits"
          ? t.join.hubIdMissing
          : trouble.problem.kind === "later" && wait === 0
            ? null
            : joinProblemText(t, trouble.problem, wait);

  return (
    <div className="page">
      <PageHead />
      <main className="single">
        <form className="card form-card" noValidate onSubmit={submit}>
          <h1>{t.present.title}</h1>
          <p className="lead">{t.present.lead}</p>
          {!able && (
            <p className="notice" role="status">
              {window.isSecureContext ? t.present.unsupported : t.present.insecure}
            </p>
          )}
          <div className="field-row">
            <HubIdField value={hubId} onChange={setHubId} autoFocus={hubId === ""} />
            <Field
              label={t.join.pin}
              className="digits pin"
              inputMode="numeric"
              autoComplete="off"
              maxLength={12}
              autoFocus={hubId !== "" && pin === ""}
              value={pin}
              onChange={(event) => setPin(event.target.value.trim())}
            />
          </div>
          <Field
            label={t.present.yourName}
            value={name}
            maxLength={64}
            autoComplete="name"
            onChange={(event) => setName(event.target.value)}
          />
          <div role="alert" className="form-problem">
            {words}
          </div>
          <button
            type="submit"
            className="button primary large"
            disabled={busy || !able || wait > 0}
          >
            {busy ? t.present.starting : t.present.button}
          </button>
          <p className="join-other">
            <a href={hubId ? `/join/${hubId}` : "/"}>{t.present.joinInstead}</a>
          </p>
        </form>
      </main>
    </div>
  );
}

function Presenting({ session, onDone }: { session: RoomSession; onDone: () => void }) {
  const t = useText();
  const snapshot = useSnapshot(session);
  const { save, local, remote } = snapshot;
  useEffect(() => () => leaveIfInside(session), [session]);
  if (save.kind === "ended") {
    return (
      <div className="page">
        <PageHead />
        <main className="message-page">
          <h1>{save.reason === "left" ? t.present.stopped : t.ended[save.reason].title}</h1>
          <button type="button" className="button primary" onClick={onDone}>
            {t.present.again}
          </button>
        </main>
      </div>
    );
  }
  return (
    <div className="page">
      <PageHead />
      <main className="message-page wide">
        <h1>{save.kind === "waiting" ? t.lobby.title : t.present.now}</h1>
        {save.kind === "waiting" && <p className="lead">{t.present.waiting}</p>}
        {local.screen && (
          <div className="present-picture">
            <StreamVideo stream={local.screen} label={t.room.yourScreen} />
          </div>
        )}
        <StateLine save={save} remote={remote} />
        <button type="button" className="button danger large" onClick={() => session.leave()}>
          {t.present.stop}
        </button>
      </main>
    </div>
  );
}
