import type { Hub } from "../../../protocol/hub-types";
import { groupHubId } from "../../parts/route";
import { momentWords, useLanguage, useText } from "../../text";
import { spanWords } from "./words";

/** What the box says of itself. */
export function HubFacts({ hub }: { hub: Hub }) {
  const t = useText();
  const { language } = useLanguage();
  const { status } = hub;
  const proxy = status?.proxy;
  const way = [
    proxy && proxy !== "direct" ? t.hubs.proxy(proxy) : null,
    status?.route || (proxy === "direct" ? t.hubs.direct : null),
  ].filter(Boolean);
  const facts: [string, string | null | undefined][] = [
    [t.hubs.room, hub.desired.room === null ? t.hubs.nowhere : groupHubId(hub.desired.room)],
    [t.hubs.version, status?.version || hub.version],
    [t.hubs.platform, status?.platform || hub.platform],
    [t.hubs.route, way.join(" · ")],
    [t.hubs.screens, status?.screens.map(screenWords).join(", ")],
    [t.hubs.uptime, status && hub.online ? spanWords(t, status.uptime_s) : null],
    [
      t.hubs.lastSeen,
      hub.last_seen ? momentWords(new Date(hub.last_seen * 1000), language) : t.hubs.never,
    ],
  ];
  return (
    <dl className="hub-facts">
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

function screenWords({ name, width, height }: { name: string; width?: number; height?: number }) {
  return width && height ? `${name} ${width}×${height}` : name;
}
