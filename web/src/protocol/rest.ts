/** The REST API, call by call (docs/protocols/rest.md). */
import type { WireRole } from "./messages";
import { BASE, RestCaller, part } from "./rest-call";
import type {
  Account,
  BlobInfo,
  DocumentFormat,
  ExportInfo,
  JoinAnswer,
  LobbyAnswer,
  LoginAnswer,
  Me,
  Member,
  MessagesAnswer,
  NetcheckFacts,
  Room,
  TurnCredentials,
  Version,
} from "./rest-types";

/** Archives may be large: they get fifteen minutes for the default's quarter of one. */
const ARCHIVE_TIMES = 60;

/**
 * The calls of `/api/v1`. Each rejects with ProblemError (the server refused)
 * or NetworkError (no answer).
 */
export class RestClient extends RestCaller {
  /** The same client with another token. */
  withToken(token: string | null): RestClient {
    return new RestClient({ ...this.options, token });
  }

  /** Log in with an account. */
  logIn(name: string, password: string): Promise<LoginAnswer> {
    return this.json("POST", "/sessions", { name, password });
  }

  /** Give this client's token back. */
  logOut(): Promise<void> {
    return this.none("DELETE", "/sessions/current");
  }

  /** Make the first administrator with the one-time code. */
  setUp(code: string, name: string, password: string): Promise<LoginAnswer> {
    return this.json("POST", "/setup", { code, name, password });
  }

  /** Whose token this is. */
  me(): Promise<Me> {
    return this.json("GET", "/me");
  }

  /** Every account. */
  async users(): Promise<Account[]> {
    return (await this.json<{ users: Account[] }>("GET", "/users")).users;
  }

  /** Make an account. */
  addUser(name: string, password: string, admin = false): Promise<Account> {
    return this.json("POST", "/users", { name, password, admin });
  }

  /** Remove an account. */
  removeUser(name: string): Promise<void> {
    return this.none("DELETE", `/users/${part(name)}`);
  }

  /** Set an account's password. */
  setPassword(name: string, password: string): Promise<void> {
    return this.none("PUT", `/users/${part(name)}/password`, { password });
  }

  /** The rooms that this account sees. */
  async rooms(): Promise<Room[]> {
    return (await this.json<{ rooms: Room[] }>("GET", "/rooms")).rooms;
  }

  /** Make a room. */
  addRoom(name: string, alias?: string): Promise<Room> {
    return this.json(
      "POST",
      "/rooms",
      alias === undefined ? { name } : { name, alias },
    );
  }

  /** One room. */
  room(hubId: string): Promise<Room> {
    return this.json("GET", `/rooms/${part(hubId)}`);
  }

  /** Change a room's name or its switches. */
  changeRoom(
    hubId: string,
    change: { name?: string; locked?: boolean; lobby?: boolean; moderated?: boolean },
  ): Promise<Room> {
    return this.json("PATCH", `/rooms/${part(hubId)}`, change);
  }

  /** Close a room, or open it again. */
  setRoomClosed(hubId: string, closed: boolean): Promise<Room> {
    const verb = closed ? "close" : "reopen";
    return this.json("POST", `/rooms/${part(hubId)}/${verb}`);
  }

  /** Give a room another PIN. */
  rotatePin(hubId: string): Promise<Room> {
    return this.json("POST", `/rooms/${part(hubId)}/pin`);
  }

  /** Who has a durable role in a room. */
  async members(hubId: string): Promise<Member[]> {
    const path = `/rooms/${part(hubId)}/members`;
    return (await this.json<{ members: Member[] }>("GET", path)).members;
  }

  /** Give an account a durable role in a room. */
  setMember(hubId: string, account: string, role: WireRole): Promise<void> {
    const path = `/rooms/${part(hubId)}/members/${part(account)}`;
    return this.none("PUT", path, { role });
  }

  /** Take an account's role in a room away. */
  removeMember(hubId: string, account: string): Promise<void> {
    return this.none("DELETE", `/rooms/${part(hubId)}/members/${part(account)}`);
  }

  /** Enter a room; pin null for a member's session. */
  join(hubId: string, name: string, pin: string | null): Promise<JoinAnswer> {
    const body = pin === null ? { name } : { name, pin };
    return this.json("POST", `/rooms/${part(hubId)}/join`, body);
  }

  /** Make a token that enters a room in a role: an invitation. */
  addToken(
    hubId: string,
    invitation: { role: WireRole; name?: string; ttl_s?: number },
  ): Promise<JoinAnswer> {
    return this.json("POST", `/rooms/${part(hubId)}/tokens`, invitation);
  }

  /** Who waits in the lobby. */
  lobby(hubId: string): Promise<LobbyAnswer> {
    return this.json("GET", `/rooms/${part(hubId)}/lobby`);
  }

  /** Let someone in, or turn them away. */
  answerLobby(
    hubId: string,
    participantId: string,
    admit: boolean,
  ): Promise<void> {
    const path = `/rooms/${part(hubId)}/lobby/${part(participantId)}`;
    return this.none("POST", path, { admit });
  }

  /** Make a participant leave. */
  kick(hubId: string, participantId: string): Promise<void> {
    const path = `/rooms/${part(hubId)}/participants/${part(participantId)}`;
    return this.none("DELETE", path);
  }

  /** Chat before `before` (a seq), oldest first; before null: the newest. */
  messages(
    hubId: string,
    before: number | null,
    limit: number,
  ): Promise<MessagesAnswer> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (before !== null) query.set("before", String(before));
    return this.json("GET", `/rooms/${part(hubId)}/messages?${query}`);
  }

  /** Store a file. */
  async uploadBlob(hubId: string, data: Blob): Promise<BlobInfo> {
    const response = await this.call("POST", `/rooms/${part(hubId)}/blobs`, {
      body: data,
      type: data.type || "application/octet-stream",
      deadlineMs: this.deadlineMs * 10,
    });
    return (await response.json()) as BlobInfo;
  }

  /** Fetch a file. */
  async fetchBlob(hubId: string, sha256: string): Promise<Blob> {
    const path = `/rooms/${part(hubId)}/blobs/${part(sha256)}`;
    const response = await this.call("GET", path, {
      deadlineMs: this.deadlineMs * 10,
    });
    return response.blob();
  }

  /** Begin to write a room as one archive. */
  startExport(hubId: string): Promise<ExportInfo> {
    return this.json("POST", `/rooms/${part(hubId)}/exports`);
  }

  /** How far an export is. */
  showExport(hubId: string, exportId: string): Promise<ExportInfo> {
    return this.json("GET", `/rooms/${part(hubId)}/exports/${part(exportId)}`);
  }

  /** End an export, or forget its archive. */
  cancelExport(hubId: string, exportId: string): Promise<void> {
    return this.none("DELETE", `/rooms/${part(hubId)}/exports/${part(exportId)}`);
  }

  /** Fetch a finished archive. */
  async fetchExport(hubId: string, exportId: string): Promise<Blob> {
    const path = `/rooms/${part(hubId)}/exports/${part(exportId)}/archive`;
    const response = await this.call("GET", path, {
      deadlineMs: this.deadlineMs * ARCHIVE_TIMES,
    });
    return response.blob();
  }

  /** Fetch one document in one format. */
  async exportDocument(
    hubId: string,
    name: string,
    format: DocumentFormat,
  ): Promise<Blob> {
    const document = name.split("/").map(part).join("/");
    const path = `/rooms/${part(hubId)}/documents/${document}/export?format=${format}`;
    const response = await this.call("GET", path, {
      deadlineMs: this.deadlineMs * ARCHIVE_TIMES,
    });
    return response.blob();
  }

  /** Make a new room of an archive. */
  async importRoom(archive: Blob): Promise<Room> {
    const response = await this.call("POST", "/imports", {
      body: archive,
      type: "application/zip",
      deadlineMs: this.deadlineMs * ARCHIVE_TIMES,
    });
    return (await response.json()) as Room;
  }

  /**
   * Fetch a document's state that DRCP referred to. Kept by the browser: the
   * same path never has other bytes.
   */
  async fetchState(path: string): Promise<Uint8Array> {
    if (!path.startsWith(BASE)) throw new RangeError(`no path of ours: ${path}`);
    const response = await this.call("GET", path.slice(BASE.length), {
      deadlineMs: this.deadlineMs * 10,
      cache: "default",
    });
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Versions of a document, newest first. */
  async versions(hubId: string, document: string): Promise<Version[]> {
    const query = new URLSearchParams({ document });
    const path = `/rooms/${part(hubId)}/versions?${query}`;
    return (await this.json<{ versions: Version[] }>("GET", path)).versions;
  }

  /** Keep a document as it is now, under a name. */
  nameVersion(hubId: string, document: string, label: string): Promise<Version> {
    return this.json("POST", `/rooms/${part(hubId)}/versions`, { document, label });
  }

  /** The state of a version: a full Yjs update (v1). */
  async versionState(hubId: string, version: number): Promise<Uint8Array> {
    const path = `/rooms/${part(hubId)}/versions/${version}`;
    const response = await this.call("GET", path, {
      deadlineMs: this.deadlineMs * 4,
    });
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Give a version another name; null takes its name away. */
  renameVersion(hubId: string, version: number, label: string | null): Promise<Version> {
    return this.json("PATCH", `/rooms/${part(hubId)}/versions/${version}`, { label });
  }

  /** Forget a version. */
  removeVersion(hubId: string, version: number): Promise<void> {
    return this.none("DELETE", `/rooms/${part(hubId)}/versions/${version}`);
  }

  /** Make the document what it was, by a new edit; false if it is like that already. */
  async restoreVersion(hubId: string, version: number): Promise<boolean> {
    const path = `/rooms/${part(hubId)}/versions/${version}/restore`;
    return (await this.json<{ changed: boolean }>("POST", path)).changed;
  }

  /** Credentials for STUN and TURN. */
  turnCredentials(): Promise<TurnCredentials> {
    return this.json("POST", "/turn-credentials");
  }

  /** What a network check tries; no login is needed. */
  beginNetcheck(): Promise<NetcheckFacts> {
    return this.json("POST", "/netcheck");
  }

  /** Fetch random bytes; how many came. */
  async netcheckNoise(sizeBytes: number): Promise<number> {
    const path = `/netcheck/noise?size_bytes=${sizeBytes}`;
    const response = await this.call("GET", path, { deadlineMs: this.deadlineMs * 2 });
    return (await response.arrayBuffer()).byteLength;
  }
}
