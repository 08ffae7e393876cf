import { useState } from "react";
import type { HubUpdate } from "../../protocol/hub-types";
import { Icon } from "../parts/Icon";
import { Popover } from "../parts/Popover";
import { useText } from "../text";
import { sizeWords } from "../parts/words";

interface UpdateBadgeProps {
  update: HubUpdate | null;
  onInstall: () => Promise<void>;
}

/** An update waits: what it brings, how much it fetches, and whether now is the time. */
export function UpdateBadge({ update, onInstall }: UpdateBadgeProps) {
  const t = useText();
  const [later, setLater] = useState<string | null>(null);
  const [asked, setAsked] = useState<"no" | "yes" | "failed">("no");
  const { available, notes, size } = update ?? {};
  if (!available || available === later) return null;
  const install = async () => {
    setAsked("yes");
    try {
      await onInstall();
    } catch {
      setAsked("failed");
    }
  };
  if (asked === "yes") return <p role="status">{t.hub.installing}</p>;
  return (
    <Popover
      label={t.hub.update(available)}
      className="button large update-badge"
      side="above"
      button={
        <>
          <Icon name="download" /> {t.hub.update(available)}
        </>
      }
    >
      {() => (
        <>
          <h2>{t.hub.updateNotes}</h2>
          {notes && <p className="update-notes">{notes}</p>}
          {typeof size === "number" && <p className="lead">{sizeWords(size)}</p>}
          {asked === "failed" && <p role="alert">{t.hub.installFailed}</p>}
          <div className="row">
            <button type="button" className="button primary" onClick={() => void install()}>
              {t.hub.install}
            </button>
            <button type="button" className="button" onClick={() => setLater(available)}>
              {t.hub.later}
            </button>
          </div>
        </>
      )}
    </Popover>
  );
}
