/** A hub as administrators and hosts see it. */
import type { Hub } from "../../src/protocol";
import { DESIRED } from "./hub-server";

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
