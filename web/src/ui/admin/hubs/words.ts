/** A hub's state in words. */
import type { Hub, HubCode, HubNetworkVerdict, HubNetworkReason } from "../../../protocol/hub-types";
import { groupHubId } from "../../parts/route";
import type { Messages } from "../../text";

/** "in a meeting, in room 412 907 338", "idle", "offline". */
export function doingWords(t: Messages, hub: Hub): string {
  const words = t.hubs.state as Record<string, string>;
  const doing = hub.online ? (words[hub.doing] ?? hub.doing) : t.hubs.state.offline;
  const { room } = hub.desired;
  if (room === null || !hub.online) return doing;
  return room === hub.hub_id ? doing : `${doing}, ${t.hubs.in(groupHubId(room))}`;
}

/** How it stands with the hub's software, in a sentence. */
export function updateWords(t: Messages, { status, version }: Hub): string {
  const runs = status?.version || version;
  const { state, available } = status?.update ?? {};
  if (state === "off") return t.hubs.noUpdates(runs);
  if (!available) return state === "failed" ? t.hubs.lookFailed(runs) : t.hubs.upToDate(runs);
  switch (state) {
    case "installing":
      return t.hubs.installing(available);
    case "restart":
      return t.hubs.restarting(available);
    case "taken-back":
      return t.hubs.takenBack(available, runs);
    case "failed":
      return t.hubs.notInstalled(available, runs);
    default:
      return t.hubs.available(available);
  }
}

/** Whether a code still lets a hub in. now: Unix seconds. */
export function codeState(
  { uses_left, expires_at }: Pick<HubCode, "uses_left" | "expires_at">,
  now: number,
): "good" | "used" | "expired" {
  if (uses_left <= 0) return "used";
  return now < expires_at ? "good" : "expired";
}

/** Seconds as the largest unit that fits: "3 days". */
export function spanWords(t: Messages, seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t.hubs.minutes(minutes);
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? t.hubs.hours(hours) : t.hubs.days(Math.floor(hours / 24));
}

/** Why a check of the network was made. */
export function reasonWords(t: Messages, reason: HubNetworkReason): string {
  return t.hubs.reasons[reason] ?? reason;
}

/** What was looked at, with advice for what is not good; the same advice is said once. */
export function advised(verdicts: readonly HubNetworkVerdict[]): HubNetworkVerdict[] {
  const said = new Set<string>();
  return verdicts
    .filter(({ outcome }) => outcome !== "skipped")
    .map((verdict) => {
      const news = verdict.outcome !== "ok" && !said.has(verdict.advice);
      if (news) said.add(verdict.advice);
      return { ...verdict, advice: news ? verdict.advice : "" };
    });
}

const TIME = String.raw`([01]\d|2[0-3]):[0-5]\d`;
const WINDOW = new RegExp(`^(${TIME})\\s*[-–]\\s*(${TIME})$`);

/** "02:00-04:00" as the server wants it; null for none, undefined for nonsense. */
export function windowOf(text: string): { start: string; end: string } | null | undefined {
  const words = text.trim();
  if (words === "") return null;
  const found = WINDOW.exec(words);
  if (!found?.[1] || !found[3]) return undefined;
  return { start: found[1], end: found[3] };
}
