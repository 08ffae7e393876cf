import { Suspense, lazy } from "react";
import { groupHubId } from "../parts/route";
import { useText } from "../text";

const QrCode = lazy(() => import("../parts/QrCode").then((m) => ({ default: m.QrCode })));

interface HowToJoinProps {
  host: string;
  hubId: string;
  pin: string;
  link: string;
}

/** Readable from six metres: where, which room, which PIN, and the same for a phone's camera. */
export function HowToJoin({ host, hubId, pin, link }: HowToJoinProps) {
  const t = useText();
  return (
    <div className="wall-join">
      <div>
        <p className="wall-at">
          {t.hub.joinAt} <strong>{host}</strong>
        </p>
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
      <Suspense fallback={<div className="qr" />}>
        <QrCode text={link} label={t.hub.scan} />
      </Suspense>
    </div>
  );
}
