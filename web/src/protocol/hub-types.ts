/** Bodies of the hub calls (docs/protocols/hub.md). Times are Unix seconds. */

/** What the canvas of a wall shows. */
export type HubLayout = "auto" | "board" | "people" | "screen";

/** The state that a hub shall be in. */
export interface HubDesired {
  /** Hub ID of a room; null: idle. */
  room: string | null;
  /** 0 to 100. */
  volume: number;
  muted: boolean;
  screen_on: boolean;
  layout: HubLayout;
  locale: string;
}

/** A meeting in a room's calendar. */
export interface HubEntry {
  start: number;
  end: number;
  title: string;
  room: string | null;
}

/** Which updates a hub takes, and when by itself, in its local time; null: only on demand. */
export interface HubUpdatePolicy {
  channel: string;
  window: { start: string; end: string } | null;
}

/** What the box says of its software. */
export interface HubUpdate {
  /** The version that could be installed. */
  available?: string | null;
  notes?: string | null;
  /** Octets to fetch. */
  size?: number | null;
  /**
   * "none", "available", "installing", "restart", "failed", "off", or "taken-back": `available`
   * was installed, did not prove itself, and what ran before runs again.
   */
  state?: string | null;
}

export type HubNetworkOutcome = "ok" | "degraded" | "blocked" | "skipped";
/** Why a check of the network was made. */
export type HubNetworkReason = "enrolled" | "daily" | "unreachable" | "asked" | "local";

/** One capability, and what to do if it is not good. */
export interface HubNetworkVerdict {
  capability: string;
  outcome: HubNetworkOutcome;
  advice: string;
}

/** What a hub found when it last checked its network. */
export interface HubNetwork {
  at: number;
  outcome: HubNetworkOutcome;
  reason: HubNetworkReason;
  /** Without measurements. */
  quick: boolean;
  /** Where its way out came from. */
  via: string;
  took_s: number;
  verdicts: HubNetworkVerdict[];
}

/** The same with everything that was tried. */
export interface HubNetworkDetails extends HubNetwork {
  checks: {
    name: string;
    outcome: HubNetworkOutcome;
    ms?: number | null;
    stage?: string;
    detail?: string;
    advice?: string;
  }[];
}

/** The same for a screen, with the version that the hub runs. */
export interface HubFound extends HubUpdate {
  runs?: string | null;
}

/** The feed: all that a screen and an agent need to know. */
export interface HubFeedAnswer {
  seq: number;
  hub: { hub_id: string; name: string; pin: string; join_url: string; join_host: string };
  desired: HubDesired;
  calendar: HubEntry[];
  update: HubUpdatePolicy;
  /** The update that the box has found. */
  found: HubFound | null;
  /** What it found when it checked its network. */
  network: HubNetwork | null;
}

/** A screen's way in. */
export interface ScreenAnswer {
  token: string;
  hub_id: string;
  expires_in_s: number;
}

/** A token for the room that the hub shall be in. */
export interface RoomTokenAnswer {
  room: string;
  token: string;
  role: string;
}

export type HubDoing = "idle" | "meeting" | "presenting" | "updating";

/** A hub as its administrators and hosts see it. */
export interface Hub {
  hub_id: string;
  name: string;
  enrolled_at: number;
  online: boolean;
  last_seen: number;
  /** One of HubDoing, or "offline". */
  doing: string;
  /** As it said when it enrolled; its status may know better. */
  version: string;
  platform: string;
  desired: HubDesired;
  update: HubUpdatePolicy;
  has_calendar: boolean;
  network: HubNetwork | null;
  status: HubStatus | null;
}

/** A screen of a box. */
export interface HubScreenInfo {
  name: string;
  width?: number;
  height?: number;
  shown?: boolean;
}

/** What the box itself reported last. */
export interface HubStatus {
  doing: HubDoing;
  room: string | null;
  version: string | null;
  platform: string | null;
  uptime_s: number;
  screens: HubScreenInfo[];
  proxy: string | null;
  route: string | null;
  update: HubUpdate | null;
  problem: string | null;
}

/** A change of a hub; what is absent stays. */
export interface HubChange {
  name?: string;
  desired?: Partial<HubDesired>;
  update?: Partial<HubUpdatePolicy>;
  calendar_url?: string | null;
}

export type HubCommandName =
  | "restart"
  | "update-check"
  | "update-install"
  | "screenshot"
  | "log"
  | "wipe"
  | "check-network";

/** How far a command is; `file` once the box has sent one. */
export interface HubCommand {
  id: string;
  command: HubCommandName;
  state: "waiting" | "done" | "failed";
  detail: string | null;
  file: string | null;
}

/** An activation code; `code` is told once, when it is made. */
export interface HubCode {
  id: string;
  name: string | null;
  code?: string;
  /** For how many hubs it was made. */
  uses: number;
  uses_left: number;
  expires_at: number;
}
