/**
 * A small DRCP/1 server in memory that keeps the document's promises: it
 * applies and fans out at once, and acknowledges after "commit" only.
 */
import * as Y from "yjs";
import {
  decodeFrame,
  encodeFrame,
  type Message,
  type ServerEvent,
  type Socket,
  type WireChat,
  type WirePerson,
  type WireRole,
} from "../../../src/protocol";

export const HUB = "412907338";

interface Document {
  doc: Y.Doc;
  committed: Y.Doc;
  epoch: string;
}

export interface Account {
  person: WirePerson;
  waiting: boolean;
}

/** What happens to updates that arrive. */
export type Disk = "commits" | "hangs" | "full";

export class MiniServer {
  readonly documents = new Map<string, Document>();
  readonly accounts = new Map<string, Account>();
  readonly connections = new Set<ServerSocket>();
  readonly chat: WireChat[] = [];
  readonly seen: { from: string; message: Message }[] = [];
  disk: Disk = "commits";
  /** Updates longer than this are refused at once, ahead of older answers. */
  maxUpdateBytes = Infinity;
  limits: Record<string, number> = {};
  down = false;
  /** Documents larger than this are referred to; the states by their paths. */
  referAbove = Infinity;
  readonly states = new Map<string, Uint8Array>();
  seq = 0;
  #sockets = 0;
  #held: (() => void)[] = [];

  /** A participant who may enter with this token. */
  account(token: string, role: WireRole = "editor", waiting = false): void {
    const person = {
      id: `p-${token}`,
      name: token,
      role,
      account: null,
      hand: false,
      mic: false,
      cam: false,
      screen: false,
    };
    this.accounts.set(token, { person, waiting });
  }

  openSocket = (): Socket => new ServerSocket(this, ++this.#sockets);

  document(name: string): Document {
    let document = this.documents.get(name);
    if (document === undefined) {
      const committed = new Y.Doc();
      document = { doc: new Y.Doc(), committed, epoch: `epoch-${name}` };
      this.documents.set(name, document);
    }
    return document;
  }

  /** The network breaks: every socket dies, none is told why. */
  cut(): void {
    for (const connection of [...this.connections]) connection.die(1006);
  }

  /** The disk comes back to life: what hung is committed. */
  release(): void {
    this.disk = "commits";
    const held = this.#held;
    this.#held = [];
    for (const commit of held) commit();
  }

  /** Everything in memory alone is lost, as in a crash. */
  crash(): void {
    this.cut();
    this.#held = [];
    for (const document of this.documents.values()) {
      document.doc = new Y.Doc();
      Y.applyUpdate(document.doc, Y.encodeStateAsUpdate(document.committed));
    }
  }

  /** Answer an update as the disk stands. */
  commit(document: Document, update: Uint8Array, from: ServerSocket, channel: number): void {
    const status = (saved: boolean) =>
      from.deliver({ channel, type: "syncStatus", saved });
    if (this.disk === "full") {
      const json = { code: 507, message: "the disk is full" };
      from.deliver({ channel, type: "error", json });
      status(false);
      return;
    }
    const commit = () => {
      Y.applyUpdate(document.committed, update);
      status(true);
    };
    if (this.disk === "hangs") this.#held.push(commit);
    else commit();
  }

  /** A host lets someone in. */
  admit(token: string, resync: boolean): void {
    const account = this.accounts.get(token);
    if (account === undefined) throw new Error(`no account ${token}`);
    const { person } = account;
    this.event(person.id, { type: "join", data: person });
    account.waiting = false;
    const connection = [...this.connections].find(
      (other) => other.account === account,
    );
    const data = { role: person.role };
    const json = { type: "admitted", seq: this.seq, at: 0, from: null, data } as const;
    connection?.deliver({ channel: 0, type: "event", json });
    if (!resync) return;
    const people = this.people();
    connection?.deliver({
      channel: 0,
      type: "resync",
      json: { seq: this.seq, people, chat: this.chat },
    });
  }

  /** Who is in the room. */
  people(): WirePerson[] {
    return [...this.connections]
      .filter((other) => other.account?.waiting === false)
      .map((other) => other.account?.person as WirePerson);
  }

  /** Send an event to everybody in the room, the sender too. */
  event(from: string | null, body: Pick<ServerEvent, "type" | "data">): void {
    this.seq += 1;
    const json = { ...body, seq: this.seq, at: 0, from } as ServerEvent;
    for (const connection of this.connections) {
      if (connection.account?.waiting === false) {
        connection.deliver({ channel: 0, type: "event", json });
      }
    }
  }
}

/** The server's end of one socket, in the client's shape. */
export class ServerSocket implements Socket {
  binaryType = "blob";
  readonly bufferedAmount = 0;
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  account: Account | null = null;
  readonly channels = new Map<number, string>();
  /** The last awareness update on each channel. */
  readonly states = new Map<number, Message>();
  readonly #server: MiniServer;
  readonly #number: number;
  #dead = false;

  constructor(server: MiniServer, number: number) {
    this.#server = server;
    this.#number = number;
    server.connections.add(this);
    if (server.down) setTimeout(() => this.die(1006), 1);
    else setTimeout(() => this.onopen?.({} as never), 1);
  }

  send(frame: Uint8Array): void {
    const copy = frame.slice();
    setTimeout(() => {
      if (this.#dead) return;
      for (const message of decodeFrame(copy)) this.#receive(message);
    }, 1);
  }

  close(): void {
    setTimeout(() => this.#gone(), 1);
  }

  /** To the client, a millisecond later. */
  deliver(...messages: Message[]): void {
    const data = encodeFrame(...messages).slice().buffer;
    setTimeout(() => {
      if (!this.#dead) this.onmessage?.({ data } as never);
    }, 1);
  }

  die(code: number, reason = ""): void {
    if (this.#dead) return;
    this.#gone();
    this.onclose?.({ code, reason } as never);
  }

  #gone(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#server.connections.delete(this);
    const { account } = this;
    if (account === null || account.waiting) return;
    const id = account.person.id;
    const back = [...this.#server.connections].some(
      (other) => other.account === account,
    );
    if (!back) this.#server.event(id, { type: "leave", data: { id } });
  }

  #receive(message: Message): void {
    const server = this.#server;
    if (message.type === "hello") return this.#hello(message.json.token);
    const { account } = this;
    if (account === null) return this.die(4401);
    const from = account.person.id;
    server.seen.push({ from, message });
    switch (message.type) {
      case "ping":
        this.deliver({ channel: message.channel, type: "pong" });
        return;
      case "open":
        return this.#open(message.channel, message.name, message.stateVector);
      case "close":
        this.channels.delete(message.channel);
        return;
      case "sync":
        return this.#sync(message.channel, message.step, message.data);
      case "awareness":
        this.states.set(message.channel, message);
        return this.#fanOut(message.channel, message);
      case "event":
        return this.#event(message.json as never);
      case "signal":
        for (const other of server.connections) {
          if (other.account?.person.id === message.json.to) {
            const json = { from, data: message.json.data };
            other.deliver({ channel: 0, type: "signal", json });
          }
        }
    }
  }

  #hello(token: string): void {
    const server = this.#server;
    const account = server.accounts.get(token);
    if (account === undefined) return this.die(4401);
    const { person, waiting } = account;
    const older = [...server.connections].find(
      (other) => other !== this && other.account === account,
    );
    this.account = account;
    older?.die(4409);
    if (!waiting && older === undefined) {
      this.account = null; // join is for the others: the welcome tells us
      server.event(person.id, { type: "join", data: person });
      this.account = account;
    }
    const people = server.people();
    this.deliver({
      channel: 0,
      type: "welcome",
      json: {
        v: 1,
        sid: `s${this.#number}`,
        participant_id: person.id,
        name: person.name,
        role: person.role,
        waiting,
        room: { hub_id: HUB, name: "Room", locked: false, lobby: false },
        seq: server.seq,
        limits: server.limits,
        server_time: 0,
        people: waiting ? [] : people,
        chat: waiting ? [] : server.chat.slice(-50),
        resumed: false,
      },
    });
  }

  #open(channel: number, name: string, stateVector: Uint8Array): void {
    let document: Document;
    try {
      document = this.#server.document(name);
    } catch {
      const json = { code: 4500, message: "the document cannot be read" };
      this.deliver({ channel, type: "error", json });
      return;
    }
    const { doc, epoch } = document;
    this.channels.set(channel, name);
    const whole = Y.encodeStateAsUpdate(doc);
    const url = `/api/v1/rooms/${HUB}/states/${this.#server.states.size}`;
    const refer = whole.length > this.#server.referAbove;
    if (refer) this.#server.states.set(url, whole);
    const known = refer ? Y.encodeStateVector(doc) : stateVector;
    this.deliver({
      channel,
      type: "opened",
      epoch,
      write: this.account?.person.role !== "viewer",
      update: known.length === 0 ? whole : Y.encodeStateAsUpdate(doc, known),
      stateVector: Y.encodeStateVector(doc),
      ...(refer
        ? { reference: { url, etag: "", enc: "gzip", size: 0, sv: "" } }
        : {}),
    });
    for (const other of this.#server.connections) {
      for (const [theirs, state] of other === this ? [] : other.states) {
        if (other.channels.get(theirs) === name) {
          this.deliver({ ...state, channel });
        }
      }
    }
  }

  #sync(channel: number, step: number, data: Uint8Array): void {
    const name = this.channels.get(channel);
    if (name === undefined) return;
    if (step === 0) {
      const all = Y.encodeStateAsUpdate(this.#server.document(name).doc, data);
      this.deliver({ channel, type: "sync", step: 1, data: all });
      return;
    }
    if (this.account?.person.role === "viewer") {
      const json = { code: 4403, message: "viewers do not write" };
      this.deliver({ channel, type: "error", json });
      this.deliver({ channel, type: "syncStatus", saved: false });
      return;
    }
    if (data.length > this.#server.maxUpdateBytes) {
      const json = { code: 4413, message: "the document is full" };
      this.deliver({ channel, type: "error", json });
      this.deliver({ channel, type: "syncStatus", saved: false });
      return;
    }
    const document = this.#server.document(name);
    Y.applyUpdate(document.doc, data);
    this.#fanOut(channel, { channel, type: "sync", step: 2, data });
    this.#server.commit(document, data, this, channel);
  }

  #fanOut(channel: number, message: Message): void {
    const name = this.channels.get(channel);
    for (const other of this.#server.connections) {
      if (other === this) continue;
      for (const [theirs, open] of other.channels) {
        if (open === name) other.deliver({ ...message, channel: theirs });
      }
    }
  }

  #event(event: { type: string; data: Record<string, unknown> }): void {
    const server = this.#server;
    const person = (this.account as Account).person;
    if (event.type === "chat") {
      const id = event.data["message_id"] as string;
      const text = event.data["text"] as string;
      let message = server.chat.find(({ message_id }) => message_id === id);
      if (message === undefined) {
        message = {
          seq: server.chat.length + 1,
          message_id: id,
          author_id: person.id,
          author: person.name,
          text,
          at: 0,
        };
        server.chat.push(message);
      }
      server.event(person.id, { type: "chat", data: message });
      return;
    }
    if (event.type === "state") Object.assign(person, event.data);
    server.event(person.id, event as never);
  }
}
