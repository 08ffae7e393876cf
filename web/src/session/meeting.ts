/** One meeting: connection, room, documents and calls, as one snapshot. */
import {
  DrcpClient,
  HubCalls,
  RestClient,
  SNAPSHOT_REF,
  type ClientEvent,
  type ConnectionState,
  type Message,
  type ServerEvent,
} from "../protocol";
import type {
  DocumentFormat,
  EndReason,
  Role,
  RoomHubs,
  RoomSession,
  RoomVersions,
  SessionOptions,
  SharedDoc,
  Snapshot,
} from "./api";
import { NearestPlace } from "./call/regions";
import { CallMesh } from "./call/mesh";
import { ChatSender } from "./chat-sender";
import { Documents } from "./documents";
import { endReason } from "./endings";
import { drcpUrl, type Environment } from "./environment";
import { LocalStreams } from "./local-media";
import { exportRoom } from "./room-export";
import { RoomState } from "./room-state";
import { saveState } from "./save-state";
import { SnapshotStore } from "./snapshot-store";
import { roomVersions } from "./versions";
import { forgetToken, rememberToken } from "./token-memory";

/** Pages of 100 messages fetched by themselves after an absence. */
const GAP_PAGES = 5;

/** Unless the welcome says otherwise. */
const MAX_STATE_VECTOR_BYTES = 4096;
/** The resync that follows an admission comes sooner than this. */
const ADMISSION_MS = 2_000;

/** The session behind the workspace page. Connects when it is made. */
export class MeetingSession implements RoomSession {
  readonly #environment: Environment;
  readonly #token: string;
  readonly #rest: RestClient;
  readonly #store: SnapshotStore<Snapshot>;
  readonly #client: DrcpClient;
  readonly #room: RoomState;
  readonly #documents: Documents;
  readonly #chat: ChatSender;
  readonly #local: LocalStreams;
  readonly #mesh: CallMesh;
  readonly #nearest: NearestPlace;
  readonly #unwatch: () => void;
  readonly versions: RoomVersions;
  readonly hubs: RoomHubs;
  #entered = false;
  #ended: EndReason | null = null;
  #said = "";
  #rttMs: number | null = null;
  #maxStateVectorBytes = MAX_STATE_VECTOR_BYTES;
  /** Runs while we are admitted but do not know who is there. */
  #admission: ReturnType<typeof setTimeout> | undefined;

  constructor(
    token: string,
    options: SessionOptions,
    environment: Environment,
  ) {
    const changed = () => this.#store.changed();
    const { origin } = environment;
    this.#environment = environment;
    this.#token = token;
    this.#store = new SnapshotStore(() => this.#build());
    this.#rest = new RestClient({ origin, fetch: environment.fetch, token });
    this.hubs = new HubCalls({ origin, fetch: environment.fetch, token });
    this.versions = roomVersions(this.#rest, () => this.#hubId());
    this.#room = new RoomState(
      {
        joined: (id) => this.#mesh.joined(id),
        left: (id) => this.#mesh.left(id),
        role: (role) => this.#role(role),
        admitted: () => this.#admitted(),
      },
      changed,
    );
    this.#client = new DrcpClient({
      url: drcpUrl(origin),
      token,
      openSocket: environment.openSocket,
      caps: [SNAPSHOT_REF],
      events: {
        state: (state) => this.#connection(state),
        message: (message) => this.#message(message),
        rtt: (milliseconds) => {
          this.#rttMs = milliseconds;
        },
      },
    });
    this.#documents = new Documents(
      {
        send: (...messages) => this.#client.send(...messages),
        changed,
        fetchState: ({ url }) => this.#rest.fetchState(url),
        owner: () => this.#owner(),
        maxStateVectorBytes: () => this.#maxStateVectorBytes,
      },
      environment.keeper,
    );
    this.#chat = new ChatSender(
      this.#room.chat,
      (event) => this.#tell(event),
      changed,
    );
    this.#local = new LocalStreams(
      () => this.#localChanged(),
      () => this.stopScreen(),
    );
    this.#nearest = new NearestPlace(
      {
        createConnection: (configuration) => environment.createConnection(configuration),
        now: () => performance.now(),
      },
      environment.storage,
      options.relay ?? null,
    );
    this.#mesh = new CallMesh({
      instance: environment.randomId(),
      relay: options.relay ?? null,
      createConnection: (configuration) =>
        environment.createConnection(configuration),
      fetchCredentials: () => this.#rest.turnCredentials(),
      nearest: (credentials) => this.#nearest.of(credentials),
      send: (to, signal) => this.#client.sendSignal(to, signal),
      local: () => this.#local.state,
      changed,
    });
    this.#unwatch = environment.watch({
      network: () => {
        this.#nearest.forget();
        // Without signalling a restart could not be agreed upon: the return
        // of the connection repairs the calls that need it.
        if (this.#client.state.kind === "live") this.#mesh.networkChanged();
        this.#client.hint();
      },
      visible: () => this.#client.hint(),
      leaving: () => this.#documents.keepNow(),
    });
    this.#client.start();
  }

  /** Milliseconds of a round trip to the server; null if not yet known. */
  get serverRttMs(): number | null {
    return this.#rttMs;
  }

  snapshot(): Snapshot {
    return this.#store.get();
  }

  subscribe(listener: () => void): () => void {
    return this.#store.subscribe(listener);
  }

  open(name: string): SharedDoc {
    return this.#documents.open(name);
  }

  sendChat(text: string): void {
    const words = text.trim();
    if (words === "" || this.#ended !== null) return;
    const me = this.#room.people.me;
    this.#chat.send({
      seq: null,
      messageId: this.#environment.randomId(),
      authorId: me?.id ?? "",
      author: me?.name ?? "",
      text: words,
      at: Date.now() / 1000,
    });
  }

  /** Fetch older chat; resolves to false when there is none. */
  async loadOlderChat(): Promise<boolean> {
    const { messages } = await this.#rest.messages(
      this.#hubId(),
      this.#room.chat.oldestSeq,
      100,
    );
    this.#room.chat.commit(messages);
    this.#store.changed();
    return messages.length > 0;
  }

  setHand(up: boolean): void {
    this.#announce({ hand: up });
  }

  react(emoji: string): void {
    this.#tell({ type: "reaction", data: { emoji } });
  }

  setCamera(stream: MediaStream | null): void {
    this.#local.setCamera(stream);
  }

  setMicOn(on: boolean): void {
    this.#local.setMicOn(on);
  }

  setCamOn(on: boolean): void {
    this.#local.setCamOn(on);
  }

  shareScreen(stream: MediaStream): void {
    this.#local.setScreen(stream);
  }

  stopScreen(): void {
    this.#local.setScreen(null);
  }

  admit(participantId: string, admit: boolean): Promise<void> {
    return this.#rest.answerLobby(this.#hubId(), participantId, admit);
  }

  kick(participantId: string): Promise<void> {
    return this.#rest.kick(this.#hubId(), participantId);
  }

  setLocked(locked: boolean): Promise<void> {
    return this.#change({ locked });
  }

  setLobby(lobby: boolean): Promise<void> {
    return this.#change({ lobby });
  }

  setModerated(moderated: boolean): Promise<void> {
    return this.#change({ moderated });
  }

  async uploadBlob(data: Blob): Promise<string> {
    return (await this.#rest.uploadBlob(this.#hubId(), data)).sha256;
  }

  fetchBlob(sha256: string): Promise<Blob> {
    return this.#rest.fetchBlob(this.#hubId(), sha256);
  }

  exportRoom(told: (progress: number) => void, signal: AbortSignal): Promise<Blob> {
    return exportRoom(this.#rest, this.#hubId(), told, signal);
  }

  exportDocument(name: string, format: DocumentFormat): Promise<Blob> {
    return this.#rest.exportDocument(this.#hubId(), name, format);
  }

  leave(): void {
    this.#documents.keepNow();
    this.#client.leave();
  }

  #build(): Snapshot {
    const { people, chat, reactions, room, lobby, waiting } = this.#room;
    return {
      me: people.me,
      room,
      people: people.list,
      chat: chat.messages,
      lobby,
      save: saveState({
        connection: this.#client.state,
        wasLive: this.#entered,
        waiting,
        ended: this.#ended,
        documents: this.#documents.all,
        mayWrite: people.me !== null && people.me.role !== "viewer",
        chatUnsaved: chat.unsaved,
        chatProblem: this.#chat.problem,
      }),
      local: this.#local.state,
      remote: this.#mesh.remote,
      reactions: reactions.list,
    };
  }

  #connection(state: ConnectionState): void {
    if (state.kind === "live") {
      this.#maxStateVectorBytes =
        state.welcome.limits["max_state_vector_bytes"] ?? MAX_STATE_VECTOR_BYTES;
      const newestSeq = this.#room.chat.newestSeq;
      const mustTell = this.#room.welcome(state.welcome);
      if (newestSeq !== null && !state.welcome.resumed) {
        void this.#fillChat(newestSeq, state.welcome.chat[0]?.seq ?? 0);
      }
      const hubId = state.welcome.room.hub_id;
      rememberToken(this.#environment.storage, { token: this.#token, hubId });
      if (!state.welcome.waiting) this.#enter(mustTell);
    } else if (state.kind === "ended") {
      this.#end(endReason(state, this.#entered, this.#said));
    } else {
      this.#documents.disconnect();
      this.#mesh.offline();
      this.#rttMs = null;
    }
    this.#store.changed();
  }

  /** In the room: by welcome, or after the lobby. */
  #enter(mustTell: boolean): void {
    this.#entered = true;
    clearTimeout(this.#admission);
    this.#admission = undefined;
    const { people, mine } = this.#room;
    if (mustTell) this.#client.sendEvent({ type: "state", data: mine });
    this.#documents.connect();
    this.#chat.connected();
    const others = people.callable.map(({ id }) => id);
    if (people.me !== null) this.#mesh.live(people.me.id, others);
    if (people.me?.role === "host") void this.#fetchLobby();
  }

  /** A host let us in; a resync, or else a new welcome, tells who is there. */
  #admitted(): void {
    clearTimeout(this.#admission);
    this.#admission = setTimeout(() => this.#client.reconnect(), ADMISSION_MS);
  }

  #message(message: Message): void {
    if (message.channel !== 0) {
      this.#documents.receive(message);
      return;
    }
    switch (message.type) {
      case "event":
        this.#room.event(message.json as ServerEvent);
        break;
      case "resync":
        this.#room.resync(message.json);
        if (this.#admission !== undefined) this.#enter(true);
        break;
      case "signal":
        if (message.json.from !== undefined) {
          this.#mesh.receive(message.json.from, message.json.data);
        }
        return;
      case "perm":
        this.#documents.permit(message.json.write);
        break;
      case "error":
        this.#said = message.json.message;
        this.#chat.refused(message.json);
    }
    this.#store.changed();
  }

  /** Send an event, unless we are offline or in the lobby. */
  #tell(event: ClientEvent): boolean {
    return !this.#room.waiting && this.#client.sendEvent(event);
  }

  #role(role: Role): void {
    this.#documents.permit(role !== "viewer");
  }

  #owner(): { hubId: string; id: string; name: string } | null {
    const { me } = this.#room.people;
    const { room } = this.#room;
    if (me === null || room === null) return null;
    return { hubId: room.hubId, id: me.id, name: me.name };
  }

  #hubId(): string {
    const { room } = this.#room;
    if (room === null) throw new Error("not in a room yet");
    return room.hubId;
  }

  #announce(state: Partial<RoomState["mine"]>): void {
    this.#room.setMine(state);
    // If this cannot be sent, the next welcome compares and tells.
    this.#tell({ type: "state", data: state });
    this.#store.changed();
  }

  #localChanged(): void {
    const { micOn, camOn, screen } = this.#local.state;
    const { mine } = this.#room;
    const next = { mic: micOn, cam: camOn, screen: screen !== null };
    if (
      next.mic !== mine.mic ||
      next.cam !== mine.cam ||
      next.screen !== mine.screen
    ) {
      this.#announce(next);
    }
    this.#mesh.publish();
    this.#store.changed();
  }

  async #change(change: { locked?: boolean; lobby?: boolean; moderated?: boolean }): Promise<void> {
    this.#room.setRoom(await this.#rest.changeRoom(this.#hubId(), change));
    this.#store.changed();
  }

  async #fetchLobby(): Promise<void> {
    const version = this.#room.lobbyVersion;
    try {
      const { waiting } = await this.#rest.lobby(this.#hubId());
      if (version !== this.#room.lobbyVersion) return; // an event was newer
      this.#room.setLobby(waiting);
      this.#store.changed();
    } catch {
      // The next lobby event tells the same.
    }
  }

  /** After a long absence: the chat between what we had and what we got. */
  async #fillChat(fromSeq: number, toSeq: number): Promise<void> {
    let before = toSeq;
    try {
      for (let page = 0; page < GAP_PAGES && before > fromSeq + 1; page += 1) {
        const { messages } = await this.#rest.messages(
          this.#hubId(),
          before,
          100,
        );
        const [oldest] = messages;
        if (oldest === undefined) return;
        this.#room.chat.commit(messages);
        this.#store.changed();
        before = oldest.seq;
      }
    } catch {
      // Older messages stay within reach of loadOlderChat.
    }
  }

  #end(reason: EndReason): void {
    this.#ended = reason;
    clearTimeout(this.#admission);
    this.#unwatch();
    this.#mesh.close();
    this.#local.stop();
    this.#documents.destroy();
    this.#chat.stop();
    this.#room.reactions.clear();
    forgetToken(this.#environment.storage);
  }
}
