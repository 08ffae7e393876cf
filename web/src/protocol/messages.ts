/** The messages of DRCP/1 (docs/protocols/drcp.md) as TypeScript sees them. */

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = "drcp.1";

/** Message type numbers; names as in the document's tables. */
export const MessageType = {
  sync: 0,
  awareness: 1,
  auth: 2,
  queryAwareness: 3,
  syncReply: 4,
  stateless: 5,
  broadcastStateless: 6,
  hocuspocusClose: 7,
  syncStatus: 8,
  ping: 9,
  pong: 10,
  hello: 64,
  welcome: 65,
  open: 66,
  opened: 67,
  close: 68,
  error: 69,
  perm: 70,
  event: 71,
  rpc: 72,
  rpcResult: 73,
  signal: 74,
  refresh: 75,
  resync: 76,
} as const;

/** Steps inside a sync or syncReply message (y-protocols). */
export const SyncStep = { stateVector: 0, reply: 1, update: 2 } as const;

/** A role in a room. */
export type WireRole = "host" | "editor" | "viewer";

/** What a participant tells about itself. */
export interface WireState {
  hand: boolean;
  mic: boolean;
  cam: boolean;
  screen: boolean;
}

/** One participant, as welcome, resync and events carry it. */
export interface WirePerson extends WireState {
  id: string;
  name: string;
  role: WireRole;
  account: string | null;
  /** The door they came through, unless it is a browser's: "xmpp". */
  via?: string;
  /** The Hub ID of the room box that this is; the server alone says so. */
  hub?: string;
}

/** One committed chat message; `at` is in Unix seconds. */
export interface WireChat {
  seq: number;
  message_id: string;
  author_id: string;
  author: string;
  text: string;
  at: number;
  /** When the text became what it is, if it is not the first. */
  edited_at?: number;
  /** When the line was taken back; the text is empty since then. */
  retracted_at?: number;
}

/** The room as its members see it. */
export interface WireRoom {
  hub_id: string;
  name: string;
  locked: boolean;
  lobby: boolean;
  /** Viewers write no chat. */
  moderated?: boolean;
}

/** One person who waits for a host. */
export interface WireWaiting {
  participant_id: string;
  name: string;
  /** The Hub ID of a room box. */
  hub?: string | null;
}

/** The first message of a client. */
export interface Hello {
  v: number[];
  client: string;
  caps: string[];
  token: string;
  resume?: { sid: string; last_seq: number };
}

/** The capability of fetching large documents by HTTP. */
export const SNAPSHOT_REF = "snapshotRef";

/** A large document's state on HTTP; `sv`, in hex, is what it holds. */
export interface SnapshotRef {
  /** A path on the same server. */
  url: string;
  /** SHA-256 of the state, in hex. */
  etag: string;
  enc: string;
  /** Bytes, when unpacked. */
  size: number;
  sv: string;
}

/** The server's answer to hello. */
export interface Welcome {
  v: number;
  sid: string;
  participant_id: string;
  name: string;
  role: WireRole;
  waiting: boolean;
  room: WireRoom;
  seq: number;
  /** What the server can do beyond the first version. */
  caps?: string[];
  limits: Record<string, number>;
  server_time: number;
  people: WirePerson[];
  chat: WireChat[];
  resumed: boolean;
}

/** What is wrong; on channel 0 with the connection, else with that document. */
export interface WireError {
  code: number;
  message: string;
  retry_after_s?: number;
}

/** The whole present state, sent when the missed events are gone. */
export interface Resync {
  seq: number;
  people: WirePerson[];
  chat: WireChat[];
}

/** An event as the server sends it. */
export type ServerEvent = {
  seq: number;
  at: number;
  from: string | null;
} & (
  | { type: "chat" | "edit"; data: WireChat }
  | { type: "state"; data: Partial<WireState> }
  | { type: "reaction"; data: { emoji: string } }
  | { type: "join"; data: WirePerson }
  | { type: "leave"; data: { id: string } }
  | { type: "person"; data: WirePerson }
  | { type: "room"; data: WireRoom }
  | { type: "lobby"; data: { waiting: WireWaiting[] } }
  | { type: "admitted"; data: { role: WireRole } }
  | { type: "draining"; data: { retry_after_s: number } }
);

/** An event as a client sends it. */
export type ClientEvent =
  | { type: "chat"; data: { text: string; message_id: string } }
  | { type: "state"; data: Partial<WireState> }
  | { type: "reaction"; data: { emoji: string } };

/** The answer to an rpc. */
export interface RpcResult {
  id: number;
  result?: unknown;
  error?: { code: number; message: string };
}

/** A WebRTC signal: `to` when sent, `from` when received. */
export interface Signal {
  to?: string;
  from?: string;
  data: unknown;
}

/** Any message, on any channel. */
export type Message = { channel: number } & MessageBody;

/** A message without its channel. */
export type MessageBody =
  | { type: "sync" | "syncReply"; step: number; data: Uint8Array }
  | { type: "awareness"; update: Uint8Array }
  | { type: "queryAwareness" | "ping" | "pong" }
  | { type: "close" }
  | {
      type: "stateless" | "broadcastStateless" | "hocuspocusClose";
      text: string;
    }
  | { type: "syncStatus"; saved: boolean }
  | { type: "hello"; json: Hello }
  | { type: "welcome"; json: Welcome }
  | { type: "open"; name: string; stateVector: Uint8Array }
  | {
      type: "opened";
      epoch: string;
      write: boolean;
      update: Uint8Array;
      stateVector: Uint8Array;
      /** If set, `update` is what comes after that state. */
      reference?: SnapshotRef;
    }
  | { type: "error"; json: WireError }
  | { type: "perm"; json: { role: WireRole; write: boolean } }
  | { type: "event"; json: ServerEvent | ClientEvent }
  | { type: "rpc"; json: { id: number; method: string; params: unknown } }
  | { type: "rpcResult"; json: RpcResult }
  | { type: "signal"; json: Signal }
  | { type: "refresh"; json: { token: string } }
  | { type: "resync"; json: Resync };
