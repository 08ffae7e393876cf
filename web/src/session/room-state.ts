/** The room as the server tells it: people, chat, lobby, reactions. */
import type {
  Resync,
  ServerEvent,
  Welcome,
  WireRoom,
  WireState,
  WireWaiting,
} from "../protocol";
import type { RoomInfo, Role, Snapshot } from "./api";
import { ChatLog } from "./chat-log";
import { People } from "./people";
import { Reactions } from "./reactions";

/** Who wants to know of people coming and going. */
export interface RoomWatcher {
  joined(id: string): void;
  left(id: string): void;
  /** Our own role, by welcome or later. */
  role(role: Role): void;
  admitted(): void;
}

/** Everything that welcome, resync and events say. */
export class RoomState {
  readonly people = new People();
  readonly chat = new ChatLog();
  readonly reactions: Reactions;
  readonly #watcher: RoomWatcher;
  #room: RoomInfo | null = null;
  #lobby: Snapshot["lobby"] = [];
  #lobbyVersion = 0;
  #waiting = false;
  /** Events up to here are in the state already. */
  #seq = 0;
  #mine: WireState = { hand: false, mic: false, cam: false, screen: false };

  constructor(watcher: RoomWatcher, changed: () => void) {
    this.#watcher = watcher;
    this.reactions = new Reactions(changed);
  }

  /** The room; null before the first welcome. */
  get room(): RoomInfo | null {
    return this.#room;
  }

  /** Who waits to be let in, as a host sees it. */
  get lobby(): Snapshot["lobby"] {
    return this.#lobby;
  }

  /** Counts the lobby lists so far. */
  get lobbyVersion(): number {
    return this.#lobbyVersion;
  }

  /** True while we stand in the lobby. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** What we want others to know of us. */
  get mine(): WireState {
    return this.#mine;
  }

  /** A connection is live. Returns true if the server must hear our state. */
  welcome(welcome: Welcome): boolean {
    const first = this.people.me === null;
    const { participant_id: id, name, role, people } = welcome;
    this.people.setMe({ id, name, role });
    this.people.replace(people);
    this.chat.commit(welcome.chat);
    this.setRoom(welcome.room);
    this.#waiting = welcome.waiting;
    this.#seq = welcome.seq;
    const known = this.people.me;
    if (first && known !== null) this.#mine = { ...this.#mine, hand: known.hand };
    const differs =
      known !== null &&
      (["hand", "mic", "cam", "screen"] as const).some(
        (key) => known[key] !== this.#mine[key],
      );
    this.#keepMine();
    this.#watcher.role(role);
    return differs;
  }

  /** The missed events are gone; this is the state. */
  resync(resync: Resync): void {
    const before = this.people.others.map(({ id }) => id);
    this.people.replace(resync.people);
    this.chat.commit(resync.chat);
    this.#seq = resync.seq;
    this.#keepMine();
    const now = new Set(this.people.callable.map(({ id }) => id));
    for (const id of before) if (!now.has(id)) this.#watcher.left(id);
    for (const id of now) this.#watcher.joined(id);
  }

  /** An event. */
  event(event: ServerEvent): void {
    switch (event.type) {
      case "chat":
      case "edit":
        this.chat.commit([event.data]);
        return;
      case "lobby":
        this.setLobby(event.data.waiting);
        return;
      case "admitted":
        this.#admit(event.data.role);
        return;
    }
    if (event.seq <= this.#seq) return; // replayed, and in the state already
    this.#happened(event);
  }

  /** Tell others something of us. */
  setMine(state: Partial<WireState>): void {
    this.#mine = { ...this.#mine, ...state };
    this.#keepMine();
  }

  /** The lobby as a host fetched it or was told. */
  setLobby(waiting: readonly WireWaiting[]): void {
    this.#lobbyVersion += 1;
    this.#lobby = waiting.map(({ participant_id, name, hub }) => ({
      participantId: participant_id,
      name,
      ...(typeof hub === "string" ? { hub } : {}),
    }));
  }

  /** The room changed. */
  setRoom({ hub_id, name, locked, lobby, moderated = false }: WireRoom): void {
    this.#room = { hubId: hub_id, name, locked, lobby, moderated };
  }

  #admit(role: Role): void {
    const { me } = this.people;
    if (!this.#waiting || me === null) return;
    this.#waiting = false;
    this.people.setMe({ ...me, role });
    this.#watcher.role(role);
    this.#watcher.admitted();
  }

  #happened(event: ServerEvent): void {
    const myId = this.people.me?.id;
    switch (event.type) {
      case "state":
        // Our own echo may be older than what we want by now.
        if (event.from !== null && event.from !== myId) {
          this.people.merge(event.from, event.data);
        }
        return;
      case "reaction":
        if (event.from !== null) {
          this.reactions.show(event.from, event.data.emoji);
        }
        return;
      case "join":
      case "person":
        this.people.put(event.data);
        if (event.data.id === myId) {
          this.#keepMine();
          this.#watcher.role(event.data.role);
        } else if (event.type === "join" && event.data.via === undefined) {
          this.#watcher.joined(event.data.id);
        }
        return;
      case "leave":
        if (event.data.id === myId) return;
        this.people.remove(event.data.id);
        this.#watcher.left(event.data.id);
        return;
      case "room":
        this.setRoom(event.data);
    }
  }

  #keepMine(): void {
    const me = this.people.me;
    if (me !== null) this.people.merge(me.id, this.#mine);
  }
}
