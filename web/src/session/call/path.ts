/** The path that a call's packets take, from its statistics. */

/** Direct or relayed, over what, how long a round trip takes. */
export interface CallPath {
  readonly path: "direct" | "relay" | null;
  /** Of our leg to the relay; null if only the other side relays. */
  readonly protocol: "udp" | "tcp" | "tls" | null;
  /** The server's port at that relay, where the browser says it. */
  readonly port: number | null;
  readonly rttMs: number | null;
}

/** No path yet. */
export const NO_PATH: CallPath = { path: null, protocol: null, port: null, rttMs: null };

/** Find the selected candidate pair in a report (webrtc-stats). */
export function readPath(report: ReadonlyStats): CallPath {
  const stats = [...values(report)];
  const byId = new Map(stats.map((stat) => [stat["id"], stat]));
  const transport = stats.find(
    (stat) =>
      stat["type"] === "transport" && stat["selectedCandidatePairId"] !== undefined,
  );
  const pair =
    byId.get(transport?.["selectedCandidatePairId"]) ??
    // Firefox has no transport statistics, but marks the pair itself.
    stats.find(
      (stat) =>
        stat["type"] === "candidate-pair" &&
        stat["state"] === "succeeded" &&
        (stat["selected"] === true || stat["nominated"] === true),
    );
  if (pair === undefined) return NO_PATH;
  const local = byId.get(pair["localCandidateId"]);
  const remote = byId.get(pair["remoteCandidateId"]);
  const relayed = local?.["candidateType"] === "relay";
  const rtt = pair["currentRoundTripTime"];
  return {
    path:
      relayed || remote?.["candidateType"] === "relay" ? "relay" : "direct",
    protocol: relayed ? readProtocol(local["relayProtocol"]) : null,
    port: relayed ? readPort(local["url"]) : null,
    rttMs: typeof rtt === "number" ? Math.round(rtt * 1000) : null,
  };
}

/** The part of an RTCStatsReport that is read. */
export interface ReadonlyStats {
  forEach(callback: (stat: Record<string, unknown>) => void): void;
}

function values(report: ReadonlyStats): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = [];
  report.forEach((stat) => found.push(stat));
  return found;
}

/** The port in `turns:host:443?transport=tcp` (RFC 7065). */
function readPort(url: unknown): number | null {
  const found = /:(\d+)(?:\?|$)/.exec(typeof url === "string" ? url : "");
  return found ? Number(found[1]) : null;
}

function readProtocol(value: unknown): CallPath["protocol"] {
  return value === "udp" || value === "tcp" || value === "tls" ? value : null;
}
