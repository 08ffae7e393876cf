/** Bodies of the REST API (docs/protocols/rest.md). Times are Unix seconds. */
import type { WireChat, WireRole, WireWaiting } from "./messages";

/** An account. */
export interface Account {
  name: string;
  admin: boolean;
  created_at: number;
}

/** The answer to a login. */
export interface LoginAnswer {
  token: string;
  expires_at: number;
  account: Account;
}

/** Whose token this is. */
export interface Me {
  name: string;
  account: string | null;
  admin: boolean;
  hub_id: string | null;
  role: WireRole | null;
  participant_id: string | null;
  expires_at: number;
  waiting: boolean;
}

/** Somebody who edited a document. */
export interface VersionAuthor {
  id: string;
  name: string;
  account: string | null;
  client_ids: number[];
}

/** A kept state of a document; `label` is null for one that is kept for a time only. */
export interface Version {
  id: number;
  document: string;
  at: number;
  label: string | null;
  reason: "auto" | "empty" | "named" | "restore";
  by: string | null;
  size_bytes: number;
  authors: VersionAuthor[];
}

/** A room as its hosts see it; `pin` is absent for other members. */
export interface Room {
  hub_id: string;
  name: string;
  pin?: string | null;
  join_url: string;
  alias: string | null;
  locked: boolean;
  lobby: boolean;
  moderated?: boolean;
  owner: string | null;
  created_at: number;
  closed_at: number | null;
}

/** The answer to joining a room. */
export interface JoinAnswer {
  token: string;
  expires_at: number;
  role: WireRole;
  waiting: boolean;
  participant_id: string;
  room: { hub_id: string; name: string };
}

/** A durable role in a room. */
export interface Member {
  account: string;
  role: WireRole;
}

/** A stored file. */
export interface BlobInfo {
  sha256: string;
  size_bytes: number;
  media_type: string;
  url: string;
}

/** An export of a room; `url` once it is ready. */
export interface ExportInfo {
  export_id: string;
  state: "waiting" | "running" | "ready" | "failed";
  progress: number;
  step: string;
  detail: string;
  size_bytes: number | null;
  created_at: number;
  expires_at: number | null;
  url: string | null;
}

/** What a document can be had as. */
export type DocumentFormat =
  | "svg"
  | "png"
  | "pdf"
  | "excalidraw"
  | "html"
  | "md"
  | "docx"
  | "ydoc";

/** Relays in another place; the same credentials are good there. */
export interface WireRegion {
  name: string;
  urls: string[];
}

/** Credentials for STUN and TURN; `ttl` in seconds. */
export interface TurnCredentials {
  urls: string[];
  username: string;
  credential: string;
  ttl: number;
  regions?: WireRegion[];
}

/** What a network check tries; the credentials live for a minute. */
export interface NetcheckFacts extends TurnCredentials {
  address: string;
  udp_ports: number[];
  xmpp_port: number | null;
  xmpp_domain: string;
  drcp: boolean;
  spki_sha256: string[];
  dtls_ports: number[];
  redirect_port: number | null;
  region: string;
}

/** A page of chat history. */
export interface MessagesAnswer {
  messages: WireChat[];
}

/** Who waits to be let in. */
export interface LobbyAnswer {
  waiting: WireWaiting[];
}
