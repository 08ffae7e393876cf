/** Any browser as a poster: how to join one room, with no hub behind it. */
import { useState } from "react";
import type { FormEvent } from "react";
import { HubIdField } from "../join/HubIdField";
import { Field } from "../parts/Field";
import { PageHead } from "../parts/PageHead";
import { go } from "../parts/route";
import { useText } from "../text";
import { joinLink } from "../workspace/RoomMenu";
import { HowToJoin } from "./HowToJoin";
import { WallHead } from "./WallHead";

export function ChooseRoom() {
  const t = useText();
  const [hubId, setHubId] = useState("");
  const [pin, setPin] = useState("");
  const [tried, setTried] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (hubId.length === 9) go(`/hub#${new URLSearchParams({ id: hubId, pin })}`);
  };
  return (
    <div className="page">
      <PageHead />
      <main className="single">
        <form className="card form-card" noValidate onSubmit={submit}>
          <h1>{t.hub.setTitle}</h1>
          <p className="lead">{t.hub.setLead}</p>
          <div className="field-row">
            <HubIdField
              value={hubId}
              onChange={setHubId}
              autoFocus
              problem={tried && hubId.length !== 9 ? t.join.hubIdMissing : null}
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
          <button type="submit" className="button primary large">
            {t.hub.show}
          </button>
          <p className="field-hint">{t.hub.setBox}</p>
        </form>
      </main>
    </div>
  );
}

export function RoomPoster({ hubId, pin }: { hubId: string; pin: string }) {
  const t = useText();
  return (
    <main className="wall idle">
      <WallHead name={t.hub.heading} />
      <HowToJoin host={location.host} hubId={hubId} pin={pin} link={joinLink(hubId, pin)} />
      <footer className="wall-foot">
        <a href="/hub">{t.hub.change}</a>
      </footer>
    </main>
  );
}
