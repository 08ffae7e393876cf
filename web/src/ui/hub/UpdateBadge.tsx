import { useEffect, useState } from "react";
import type { HubFound } from "../../protocol/hub-types";
import { Icon, type IconName } from "../parts/Icon";
import { Popover } from "../parts/Popover";
import { useText, type Messages } from "../text";
import { sizeWords } from "../parts/words";

/** A touch that changes nothing on the box for so long was in vain. */
const PATIENCE_MS = 60_000;

interface UpdateBadgeProps {
  update: HubFound | null;
  onInstall: () => Promise<void>;
}

/**
 * An update waits: what it brings, how much it fetches, and whether now is the time. Or how the
 * last one went, if it did not go well.
 */
export function UpdateBadge({ update, onInstall }: UpdateBadgeProps) {
  const t = useText();
  const [later, setLater] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  /** What was known when somebody touched Install: until it changes, the box is on its way. */
  const [touched, setTouched] = useState<string | null>(null);
  useEffect(() => {
    if (touched === null) return;
    const timer = setTimeout(() => setTouched(null), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [touched]);
  const known = JSON.stringify(update);
  const { available, notes, size, state } = update ?? {};
  if (touched === known || state === "installing" || state === "restart") {
    return (
      <p role="status" className="update-runs">
        {t.hub.installing}
      </p>
    );
  }
  if (!available || `${state} ${available}` === later) return null;
  const { icon, title, why, go } = words(t, update, available);
  const install = async () => {
    setTouched(known);
    setFailed(false);
    try {
      await onInstall();
    } catch {
      setTouched(null);
      setFailed(true);
    }
  };
  return (
    <Popover
      label={title}
      className="button large update-badge"
      side="above"
      button={
        <>
          <Icon name={icon} /> {title}
        </>
      }
    >
      {() => (
        <>
          {why && <p>{why}</p>}
          {notes && (
            <>
              <h2>{t.hub.updateNotes}</h2>
              <p className="update-notes">{notes}</p>
            </>
          )}
          {typeof size === "number" && <p className="lead">{t.hubs.toFetch(sizeWords(size))}</p>}
          {failed && <p role="alert">{t.hub.installFailed}</p>}
          <div className="row">
            <button type="button" className="button primary" onClick={() => void install()}>
              {go}
            </button>
            <button
              type="button"
              className="button"
              onClick={() => setLater(`${state} ${available}`)}
            >
              {t.hub.later}
            </button>
          </div>
        </>
      )}
    </Popover>
  );
}

interface Words {
  icon: IconName;
  title: string;
  why: string | null;
  go: string;
}

function words(t: Messages, update: HubFound | null, version: string): Words {
  switch (update?.state) {
    case "taken-back":
      return {
        icon: "undo",
        title: t.hub.takenBack(version),
        why: t.hub.takenBackWhy(update.runs ?? null),
        go: t.hub.tryAgain,
      };
    case "failed":
      return {
        icon: "undo",
        title: t.hub.notInstalled(version),
        why: t.hub.notInstalledWhy,
        go: t.hub.tryAgain,
      };
    default:
      return { icon: "download", title: t.hub.update(version), why: null, go: t.hub.install };
  }
}
