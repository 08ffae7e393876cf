/** A hub as administrators and hosts see it. */
import type { Hub, HubNetwork } from "../../src/protocol";
import { DESIRED } from "./hub-server";

export const LIMITED: HubNetwork = {
  at: 1_790_000_400,
  outcome: "degraded",
  reason: "daily",
  quick: false,
  via: "environment",
  took_s: 9.5,
  verdicts: [
    { capability: "signalling", outcome: "ok", advice: "Meetings can be joined." },
    { capability: "media", outcome: "degraded", advice: "UDP is blocked: video and voice use TLS." },
    { capability: "direct", outcome: "skipped", advice: "not checked" },
    { capability: "quality", outcome: "degraded", advice: "UDP is blocked: video and voice use TLS." },
  ],
};

export function hubOf(change: Partial<Hub> = {}): Hub {
  return {
    hub_id: "412907338",
    name: "Lisbon",
    enrolled_at: 1_790_000_000,
    online: true,
    last_seen: 1_790_000_500,
    doing: "meeting",
    version: "1.2.0",
    platform: "Debian 12",
    desired: { ...DESIRED, room: "412907338" },
    update: { channel: "stable", window: null },
    has_calendar: false,
    network: null,
    status: {
      doing: "meeting",
      room: "412907338",
      version: "1.2.0",
      platform: "Debian 12",
      uptime_s: 7200,
      screens: [{ name: "HDMI-1", width: 1920, height: 1080, shown: true }],
      proxy: "http://proxy.example:3128",
      route: "relay, tls",
      update: { state: "available", available: "1.3.0", notes: "Less echo", size: 1_048_576 },
      problem: null,
    },
    ...change,
  };
}
