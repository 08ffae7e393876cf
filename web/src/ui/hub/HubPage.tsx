import { Suspense, lazy, useEffect, useState } from "react";
import type { FormEvent } from "react";
import { HubIdField } from "../join/HubIdField";
import { Field } from "../parts/Field";
import { Mark } from "../parts/Mark";
import { PageHead } from "../parts/PageHead";
import { go, groupHubId } from "../parts/route";
import { clockTime, useLanguage, useText } from "../text";
import type { Language } from "../text";
import { joinLink } from "../workspace/RoomMenu";

const QrCode = lazy(() => import("../parts/QrCode").then((m) => ({ default: m.QrCode })));

/** A screen on the wall, before a meeting: how to join, readable across the room. */
export function HubPage({ hubId, pin }: { hubId: string; pin: string }) {
  if (hubId.length !== 9) return <ChooseRoom />;
  return <IdleHub hubId={hubId} pin={pin} />;
}

function ChooseRoom() {
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
        </form>
      </main>
    </div>
  );
}

function useClock(language: Language): string {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 1000);
    return () => clearInterval(timer);
  }, []);
  return clockTime(now, language);
}

function IdleHub({ hubId, pin }: { hubId: string; pin: string }) {
  const t = useText();
  const { language } = useLanguage();
  const time = useClock(language);
  return (
    <main className="hub">
      <header>
        <span className="hub-brand">
          <Mark size={56} /> {t.hub.heading}
        </span>
        <time>{time}</time>
      </header>
      <div className="hub-body">
        <div>
          <p className="hub-at">
            {t.hub.joinAt} <strong>{location.host}</strong>
          </p>
          <h1 className="sr-only">{t.hub.heading}</h1>
          <dl>
            <div>
              <dt>{t.join.hubId}</dt>
              <dd>{groupHubId(hubId)}</dd>
            </div>
            {pin && (
              <div>
                <dt>{t.join.pin}</dt>
                <dd>{pin}</dd>
              </div>
            )}
          </dl>
        </div>
        <Suspense fallback={null}>
          <QrCode text={joinLink(hubId, pin)} label={t.hub.scan} />
        </Suspense>
      </div>
      <footer>
        <a href="/hub">{t.hub.change}</a>
      </footer>
    </main>
  );
}
