/** What the box found when it checked its network: the verdict, and what to do. */
import { useEffect, useState } from "react";
import type { Hub, HubNetwork, HubNetworkDetails } from "../../../protocol/hub-types";
import type { HubCalls } from "../../../protocol/rest-hubs";
import { momentWords, useLanguage, useText } from "../../text";
import { isOver } from "../../parts/network";
import { refusalText } from "../rest";
import { advised, reasonWords } from "./words";

interface NetworkPartProps {
  hub: Hub;
  calls: HubCalls;
  /** A command of any kind is under way. */
  waiting: boolean;
  /** For those who may ask for a check. */
  onCheck: (() => void) | null;
}

export function NetworkPart({ hub, calls, waiting, onCheck }: NetworkPartProps) {
  const t = useText();
  return (
    <>
      <h4>{t.hubs.network}</h4>
      {hub.network === null ? (
        <p>{t.hubs.networkNever}</p>
      ) : (
        <Found key={hub.network.at} hub={hub} network={hub.network} calls={calls} />
      )}
      {onCheck && (
        <div className="row">
          <button type="button" className="button" disabled={waiting} onClick={onCheck}>
            {t.hubs.checkNetwork}
          </button>
        </div>
      )}
    </>
  );
}

interface FoundProps {
  hub: Hub;
  network: HubNetwork;
  calls: HubCalls;
}

function Found({ hub, network, calls }: FoundProps) {
  const t = useText();
  const { language } = useLanguage();
  const [open, setOpen] = useState(false);
  const { outcome, reason, verdicts, quick } = network;
  const when = momentWords(new Date(network.at * 1000), language);
  return (
    <>
      <p className={`hub-verdict ${outcome}`}>
        <strong>{t.hubs.outcomes[outcome]}</strong> {when} · {reasonWords(t, reason)}
        {quick && ` · ${t.hubs.networkQuick}`}
      </p>
      {hub.online && isOver(network) && <p className="field-hint">{t.hubs.networkSince}</p>}
      <dl className="hub-network">
        {advised(verdicts).map(({ capability, outcome, advice }) => (
          <div key={capability} className={outcome}>
            <dt>{words(t.hubs.capabilities, capability)}</dt>
            <dd>
              {t.hubs.outcomes[outcome]}
              {advice && <span>{advice}</span>}
            </dd>
          </div>
        ))}
      </dl>
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{t.hubs.networkAll}</summary>
        {open && <Trials hubId={hub.hub_id} calls={calls} />}
      </details>
    </>
  );
}

/** Everything that was tried, read when somebody wants to see it. */
function Trials({ hubId, calls }: { hubId: string; calls: HubCalls }) {
  const t = useText();
  const [found, setFound] = useState<HubNetworkDetails | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  useEffect(() => {
    let gone = false;
    calls.network(hubId).then(
      (details) => !gone && setFound(details),
      (error: unknown) => !gone && setFailed(error),
    );
    return () => {
      gone = true;
    };
  }, [hubId, calls]);
  if (failed) return <p className="form-problem">{refusalText(t, failed)}</p>;
  if (found === null) return <p>{t.loading}</p>;
  return (
    <>
      <p className="field-hint">{t.hubs.networkVia(found.via, found.took_s)}</p>
      <ul className="hub-trials">
        {found.checks.map((check) => (
          <li key={check.name} className={check.outcome}>
            <code>{check.name}</code>
            <span>
              {t.hubs.outcomes[check.outcome]}
              {typeof check.ms === "number" && ` · ${Math.round(check.ms)} ms`}
            </span>
            {check.detail && <span className="hub-trial-more">{check.detail}</span>}
            {check.advice && <span className="hub-trial-more">{check.advice}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}

function words(table: Record<string, string>, name: string): string {
  return table[name] ?? name;
}
