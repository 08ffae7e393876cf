/** A room session of one page: it remembers what was asked and shows what it is told. */
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import type { Hub, HubCommand } from "../../src/protocol";
import type {
  ChatMessage,
  Person,
  RoomHubs,
  RoomSession,
  RoomVersions,
  SharedDoc,
  Snapshot,
  VersionInfo,
  VersionProblem,
} from "../../src/session/api";
import { VersionError } from "../../src/session/versions";

export function person(id: string, name: string, more: Partial<Person> = {}): Person {
  return {
    id,
    name,
    role: "editor",
    account: null,
    hand: false,
    mic: true,
    cam: true,
    screen: false,
    ...more,
  };
}

export function message(seq: number, author: Person, text: string): ChatMessage {
  return {
    seq,
    messageId: `m${seq}`,
    authorId: author.id,
    author: author.name,
    text,
    at: 1_800_000_000 + seq * 20,
  };
}

export const ada = person("p-ada", "Ada Lovelace", { role: "host" });
export const bert = person("p-bert", "Bert Moor");

const START: Snapshot = {
  me: ada,
  room: { hubId: "412907338", name: "Design review", locked: false, lobby: false },
  people: [ada, bert],
  chat: [],
  lobby: [],
  save: { kind: "live", unsaved: 0 },
  local: { camera: null, screen: null, micOn: true, camOn: false },
  remote: [],
  reactions: [],
};

export class FakeSession implements RoomSession {
  readonly asked: unknown[][] = [];
  readonly docs = new Map<string, SharedDoc>();
  #snapshot: Snapshot;
  readonly #listeners = new Set<() => void>();

  constructor(start: Partial<Snapshot> = {}) {
    this.#snapshot = { ...START, ...start };
  }

  /** Change the state, as if the server had. */
  show(change: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  open(name: string): SharedDoc {
    let shared = this.docs.get(name);
    if (!shared) {
      const doc = new Y.Doc();
      shared = { name, doc, awareness: new Awareness(doc), synced: true, writable: true };
      this.docs.set(name, shared);
    }
    return shared;
  }

  #note(...call: unknown[]): void {
    this.asked.push(call);
  }

  sendChat(text: string): void {
    this.#note("sendChat", text);
    const me = this.#snapshot.me ?? ada;
    const chat = [...this.#snapshot.chat, message(this.#snapshot.chat.length + 1, me, text)];
    this.show({ chat });
  }
  setHand(up: boolean): void {
    this.#note("setHand", up);
    const me = this.#snapshot.me && { ...this.#snapshot.me, hand: up };
    if (me) this.show({ me, people: this.#snapshot.people.map((p) => (p.id === me.id ? me : p)) });
  }
  react(emoji: string): void {
    this.#note("react", emoji);
  }
  setCamera(stream: MediaStream | null): void {
    this.#note("setCamera", stream);
    this.show({ local: { ...this.#snapshot.local, camera: stream } });
  }
  setMicOn(on: boolean): void {
    this.#note("setMicOn", on);
    this.show({ local: { ...this.#snapshot.local, micOn: on } });
  }
  setCamOn(on: boolean): void {
    this.#note("setCamOn", on);
    this.show({ local: { ...this.#snapshot.local, camOn: on } });
  }
  exportRoom(told: (progress: number) => void, signal: AbortSignal): Promise<Blob> {
    this.#note("exportRoom");
    told(0.5);
    return new Promise((resolve, reject) => {
      this.finishExport = (answer) =>
        answer instanceof Error ? reject(answer) : resolve(answer);
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  }
  finishExport: (answer: Blob | Error) => void = () => {};
  exportDocument(name: string, format: string): Promise<Blob> {
    this.#note("exportDocument", name, format);
    return Promise.resolve(new Blob(["x"]));
  }
  shareScreen(stream: MediaStream): void {
    this.#note("shareScreen", stream);
    this.show({ local: { ...this.#snapshot.local, screen: stream } });
  }
  stopScreen(): void {
    this.#note("stopScreen");
    this.show({ local: { ...this.#snapshot.local, screen: null } });
  }
  async admit(participantId: string, admit: boolean): Promise<void> {
    this.#note("admit", participantId, admit);
  }
  async kick(participantId: string): Promise<void> {
    this.#note("kick", participantId);
  }
  async setLocked(locked: boolean): Promise<void> {
    this.#note("setLocked", locked);
  }
  async setLobby(lobby: boolean): Promise<void> {
    this.#note("setLobby", lobby);
  }

  async setModerated(moderated: boolean): Promise<void> {
    this.#note("setModerated", moderated);
  }
  async uploadBlob(data: Blob): Promise<string> {
    this.#note("uploadBlob", data);
    return "0".repeat(64);
  }
  async fetchBlob(sha256: string): Promise<Blob> {
    this.#note("fetchBlob", sha256);
    return new Blob([]);
  }
  /** What versions.list gives; a test fills it. */
  kept: VersionInfo[] = [];
  state: Uint8Array = new Uint8Array([0, 0]);
  refusal: VersionProblem | null = null;
  readonly versions: RoomVersions = {
    list: async (document) => {
      this.#note("versions.list", document);
      return this.kept;
    },
    name: async (document, label) => {
      this.#note("versions.name", document, label);
      if (this.refusal) throw new VersionError(this.refusal);
    },
    state: async (version) => {
      this.#note("versions.state", version);
      return this.state;
    },
    restore: async (version) => {
      this.#note("versions.restore", version);
      if (this.refusal) throw new VersionError(this.refusal);
      return true;
    },
    rename: async (version, label) => {
      this.#note("versions.rename", version, label);
      if (this.refusal) throw new VersionError(this.refusal);
    },
    remove: async (version) => {
      this.#note("versions.remove", version);
    },
  };
  /** What hubs.list gives, and what a hub answers; a test fills them. */
  boxes: Hub[] = [];
  answer: Partial<HubCommand> = { state: "done", detail: null, file: null };
  readonly hubs: RoomHubs = {
    list: async () => this.boxes,
    change: async (hubId, change) => {
      this.#note("hubs.change", hubId, change);
      const found = this.boxes.find((hub) => hub.hub_id === hubId);
      if (!found) throw new Error("no such hub");
      const changed = { ...found, desired: { ...found.desired, ...change.desired } };
      this.boxes = this.boxes.map((hub) => (hub === found ? changed : hub));
      return changed;
    },
    command: async (hubId, command) => {
      this.#note("hubs.command", hubId, command);
      return { id: "c1" };
    },
    showCommand: async (_hubId, id) => ({ id, command: "screenshot", ...this.answer }) as HubCommand,
    commandFile: async () => new Blob(["png"], { type: "image/png" }),
  };
  leave(): void {
    this.#note("leave");
    this.show({ save: { kind: "ended", reason: "left" } });
  }
}
