/**
 * What the session layer offers to the user interface: the whole state of one
 * meeting, observable, with no React and no DOM beyond media types.
 */
import type { HubCalls } from "../protocol/rest-hubs";
import type { DocumentFormat } from "../protocol/rest-types";
import type * as Y from "yjs";
import type { Awareness } from "y-protocols/awareness";

export type Role = "host" | "editor" | "viewer";

export interface Person {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly account: string | null;
  readonly hand: boolean;
  readonly mic: boolean;
  readonly cam: boolean;
  readonly screen: boolean;
  readonly via?: "xmpp"; // they have chat alone, and no browser
  readonly hub?: string; // the Hub ID of the room box that this is
}

export interface ChatMessage {
  readonly seq: number | null; // null while it is on its way
  readonly messageId: string;
  readonly authorId: string;
  readonly author: string;
  readonly text: string;
  readonly at: number; // Unix seconds
  readonly edited?: boolean;
  readonly removed?: boolean; // the text is empty
}

/** The one line that never lies (UX.md). */
export type SaveState =
  | { kind: "connecting" }
  | { kind: "waiting" } // in the lobby
  | { kind: "live"; unsaved: 0 }
  | { kind: "saving"; unsaved: number }
  | { kind: "offline"; unsaved: number; retryAt: number | null }
  | { kind: "read-only" }
  | { kind: "cannot-save"; reason: string; unsaved: number }
  | { kind: "ended"; reason: EndReason };

export type EndReason =
  | "left" | "kicked" | "closed" | "locked" | "expired" | "replaced" | "refused";

export interface CallState {
  readonly kind: "idle" | "connecting" | "connected" | "failed";
  readonly path: "direct" | "relay" | null;
  readonly protocol: "udp" | "tcp" | "tls" | null; // of the relay leg
  readonly port: number | null; // of the relay, where the browser tells it
  readonly rttMs: number | null;
}

export interface RemoteMedia {
  readonly personId: string;
  readonly camera: MediaStream | null; // camera and microphone
  readonly screen: MediaStream | null;
  readonly call: CallState;
}

export interface LocalMedia {
  readonly camera: MediaStream | null;
  readonly screen: MediaStream | null;
  readonly micOn: boolean;
  readonly camOn: boolean;
}

export type { DocumentFormat };

export interface RoomInfo {
  readonly hubId: string;
  readonly name: string;
  readonly locked: boolean;
  readonly lobby: boolean;
  readonly moderated?: boolean; // viewers write no chat
}

export interface SharedDoc {
  readonly name: string;
  readonly doc: Y.Doc;
  readonly awareness: Awareness;
  readonly synced: boolean;
  readonly writable: boolean;
}

/** A kept state of a document. */
export interface VersionInfo {
  readonly id: number;
  readonly at: number; // Unix seconds
  readonly label: string | null; // null: kept for a time only
  readonly reason: "auto" | "empty" | "named" | "restore";
  readonly authors: readonly { readonly id: string; readonly name: string }[];
}

/** Why something about versions did not work. */
export type VersionProblem =
  | "disk-full" | "too-many" | "gone" | "forbidden" | "network" | "failed";

export interface Snapshot {
  readonly me: Person | null;
  readonly room: RoomInfo | null;
  readonly people: readonly Person[]; // me first, then by time of joining
  readonly chat: readonly ChatMessage[];
  readonly lobby: readonly { participantId: string; name: string; hub?: string }[];
  readonly save: SaveState;
  readonly local: LocalMedia;
  readonly remote: readonly RemoteMedia[];
  readonly reactions: readonly { id: string; personId: string; emoji: string }[];
}

export interface RoomSession {
  /** The present state; a new object whenever something changed. */
  snapshot(): Snapshot;
  /** Call back after each change; returns the way to stop. */
  subscribe(listener: () => void): () => void;

  /** Open a document ("board", "room", "notes/minutes"); the same object each time. */
  open(name: string): SharedDoc;

  sendChat(text: string): void;
  setHand(up: boolean): void;
  react(emoji: string): void;

  /** Publish these tracks; replaces the ones before without renegotiation. */
  setCamera(stream: MediaStream | null): void;
  setMicOn(on: boolean): void;
  setCamOn(on: boolean): void;
  shareScreen(stream: MediaStream): void;
  stopScreen(): void;

  admit(participantId: string, admit: boolean): Promise<void>;
  kick(participantId: string): Promise<void>;
  setLocked(locked: boolean): Promise<void>;
  setLobby(lobby: boolean): Promise<void>;
  setModerated(moderated: boolean): Promise<void>; // guests come as viewers, who write no chat

  /** Upload a file of the board; resolves to its sha256. */
  uploadBlob(data: Blob): Promise<string>;
  /** Fetch a file of the board. */
  fetchBlob(sha256: string): Promise<Blob>;

  /** The past of a document. Each of these rejects with a VersionError. */
  readonly versions: RoomVersions;

  /** The hubs in this room, for a host. Each of these rejects like a REST call. */
  readonly hubs: RoomHubs;

  /** The whole room as one archive; `told` how far it is, 0 to 1. */
  exportRoom(told: (progress: number) => void, signal: AbortSignal): Promise<Blob>;
  /** One document in one format. */
  exportDocument(name: string, format: DocumentFormat): Promise<Blob>;

  leave(): void;
}

/** What a host's token may do with the boxes that are in the room. */
export type RoomHubs = Pick<
  HubCalls,
  "list" | "change" | "command" | "showCommand" | "commandFile"
>;

export interface RoomVersions {
  /** Newest first. */
  list(document: string): Promise<readonly VersionInfo[]>;
  /** Keep the document as it is now. */
  name(document: string, label: string): Promise<void>;
  /** The state: a full Yjs update. */
  state(version: number): Promise<Uint8Array>;
  /** Make the document what it was, for everybody; false if it is like that already. */
  restore(version: number): Promise<boolean>;
  /** Another name; null takes the name away: then it goes with the automatic ones. */
  rename(version: number, label: string | null): Promise<void>;
  remove(version: number): Promise<void>;
}

export interface JoinRequest {
  hubId: string;
  pin: string | null;
  name: string;
}

export type JoinProblem =
  | { kind: "wrong" } // wrong Hub ID or PIN
  | { kind: "later"; retryAfterS: number }
  | { kind: "unavailable"; reason: "locked" | "closed" }
  | { kind: "invalid"; detail: string }
  | { kind: "network" };

export interface SessionOptions {
  /** Force relay-only ICE (a link with ?relay=udp|tcp|tls, for tests and strict sites). */
  relay?: "any" | "udp" | "tcp" | "tls" | null;
}

/** Join with Hub ID and PIN. Rejects with a JoinError that carries a JoinProblem. */
export type JoinRoom = (
  request: JoinRequest,
  options?: SessionOptions,
) => Promise<RoomSession>;
/** Enter with a room token (an invitation or a reload: the token is kept in sessionStorage). */
export type EnterRoom = (token: string, options?: SessionOptions) => RoomSession;
