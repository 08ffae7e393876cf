import { useState } from "react";
import type { Hub } from "../../../protocol/hub-types";
import type { HubCalls } from "../../../protocol/rest-hubs";
import { groupHubId } from "../../parts/route";
import { isOver } from "../../parts/network";
import { usePolled } from "../../parts/usePolled";
import { momentWords, useLanguage, useText } from "../../text";
import { refusalText, statusOf } from "../rest";
import { Codes } from "./Codes";
import { HubPanel } from "./HubPanel";
import { doingWords } from "./words";

const POLL_MS = 4_000;

interface HubsSectionProps {
  calls: HubCalls;
  /** May make codes and remove hubs. */
  admin: boolean;
  onRefused: (error: unknown) => void;
}

/** The boxes on the walls: which there are, how they are, and how a new one gets in. */
export function HubsSection({ calls, admin, onRefused }: HubsSectionProps) {
  const t = useText();
  const { value: hubs, failed, reload } = usePolled(async () => {
    try {
      return await calls.list();
    } catch (error) {
      if (statusOf(error) === 401) onRefused(error);
      throw error;
    }
  }, POLL_MS);
  const [open, setOpen] = useState<string | null>(null);
  if (!admin && (hubs === null || hubs.length === 0)) return null;
  return (
    <section aria-labelledby="hubs">
      <h2 id="hubs">{t.hubs.title}</h2>
      <p role="status" className={failed ? "form-problem" : "sr-only"}>
        {failed ? refusalText(t, failed) : ""}
      </p>
      {hubs === null ? (
        !failed && <p>{t.loading}</p>
      ) : hubs.length === 0 ? (
        <p className="lead">{t.hubs.empty}</p>
      ) : (
        <ul className="room-list">
          {hubs.map((hub) => (
            <HubCard
              key={hub.hub_id}
              hub={hub}
              open={open === hub.hub_id}
              onOpen={(is) => setOpen(is ? hub.hub_id : null)}
            >
              <HubPanel hub={hub} calls={calls} admin={admin} reload={reload} />
            </HubCard>
          ))}
        </ul>
      )}
      {admin && <Codes calls={calls} onRefused={onRefused} />}
    </section>
  );
}

interface HubCardProps {
  hub: Hub;
  open: boolean;
  onOpen: (open: boolean) => void;
  children: React.ReactNode;
}

function HubCard({ hub, open, onOpen, children }: HubCardProps) {
  const t = useText();
  const { language } = useLanguage();
  const { status } = hub;
  const { available, state } = status?.update ?? {};
  const offered = state === "available" ? available : null;
  const { network } = hub;
  const outcome = network && !(hub.online && isOver(network)) ? network.outcome : null;
  return (
    <li className="card hub-card" aria-label={t.hubs.details(hub.name)}>
      <div className="hub-card-head">
        <span className={`hub-lamp ${hub.online ? "on" : ""}`} aria-hidden="true" />
        <h3>{hub.name}</h3>
        <span className="hub-id">{groupHubId(hub.hub_id)}</span>
        <span className="tag">{doingWords(t, hub)}</span>
        {offered && <span className="tag signal">{t.hubs.available(offered)}</span>}
        {(outcome === "degraded" || outcome === "blocked") && (
          <span className="tag signal">{t.hubs.networkIs[outcome]}</span>
        )}
        <button
          type="button"
          className="button"
          aria-expanded={open}
          aria-label={`${open ? t.hubs.shut : t.hubs.open}: ${hub.name}`}
          onClick={() => onOpen(!open)}
        >
          {open ? t.hubs.shut : t.hubs.open}
        </button>
      </div>
      {status?.problem && <p className="form-problem">{status.problem}</p>}
      {!hub.online && (
        <p className="field-hint">
          {t.hubs.lastSeen}:{" "}
          {hub.last_seen ? momentWords(new Date(hub.last_seen * 1000), language) : t.hubs.never}
        </p>
      )}
      {open && children}
    </li>
  );
}
