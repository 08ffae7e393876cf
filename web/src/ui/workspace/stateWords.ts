/** The words of the state line (UX.md): one truth for saving, one for the call. */
import type { CallState, RemoteMedia, SaveState } from "../../session/api";
import type { Messages } from "../text/en";

export type Tone = "calm" | "busy" | "signal" | "danger";

export function saveWords(t: Messages, save: SaveState): string {
  switch (save.kind) {
    case "connecting":
      return t.state.connecting;
    case "waiting":
      return t.state.waiting;
    case "live":
      return t.state.live;
    case "saving":
      return t.state.saving;
    case "offline":
      return save.unsaved > 0 ? t.state.offlineKept(save.unsaved) : t.state.offline;
    case "read-only":
      return t.state.readOnly;
    case "cannot-save":
      return t.state.cannotSave(saveReason(t, save.reason));
    case "ended":
      return t.state.ended;
  }
}

/** The session's code for what keeps it from saving, in words. */
function saveReason(t: Messages, code: string): string {
  const words: Record<string, string> = t.state.cannotSaveWhy;
  return words[code] ?? code;
}

export function saveTone(save: SaveState): Tone {
  switch (save.kind) {
    case "live":
    case "read-only":
      return "calm";
    case "connecting":
    case "waiting":
    case "saving":
      return "busy";
    case "offline":
      return "signal";
    case "cannot-save":
    case "ended":
      return "danger";
  }
}

const ORDER = { failed: 3, connecting: 2, connected: 1, idle: 0 } as const;

/** The call that deserves the line: the one that fares worst. */
export function worstCall(remote: readonly RemoteMedia[]): CallState | null {
  const weight = (call: CallState) =>
    ORDER[call.kind] * 10 + (call.path === "relay" ? 5 : 0) + Math.min(call.rttMs ?? 0, 4000) / 1000;
  const calls = remote.map((media) => media.call).filter((call) => call.kind !== "idle");
  return calls.reduce<CallState | null>(
    (worst, call) => (worst === null || weight(call) > weight(worst) ? call : worst),
    null,
  );
}

/** The relay leg, in the words of a network plan: "UDP", "TCP", or the one port of TLS. */
export function relayLeg(call: CallState): string {
  if (call.protocol === "tls") return call.port === null ? "TLS" : String(call.port);
  return (call.protocol ?? "").toUpperCase();
}

export function callWords(t: Messages, call: CallState): { text: string; why: string } {
  if (call.kind === "failed") return { text: t.state.callFailed, why: t.state.failedWhy };
  if (call.kind !== "connected" || call.path === null) {
    return { text: t.state.callConnecting, why: "" };
  }
  const leg = relayLeg(call);
  const way = call.path === "direct" ? t.state.direct : t.state.relay(leg).trim();
  const why = call.path === "direct" ? t.state.directWhy : t.state.relayWhy(leg);
  return {
    text: call.rttMs === null ? way : `${way} · ${t.state.ms(Math.round(call.rttMs))}`,
    why,
  };
}
