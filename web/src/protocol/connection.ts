/** One lasting DRCP/1 connection: hello, heartbeat, resume and return. */
import { Backoff } from "./backoff";
import { judgeClose, type EndCause } from "./closing";
import { decodeFrame, encodeFrame } from "./envelope";
import { Heartbeat } from "./heartbeat";
import {
  SUBPROTOCOL,
  type ClientEvent,
  type Message,
  type ServerEvent,
  type Welcome,
  type WireError,
} from "./messages";
import { PendingCalls } from "./rpc";

/** The part of a browser's WebSocket that the client uses. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: never) => unknown) | null;
  onclose: ((event: never) => unknown) | null;
  send(frame: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** Opens a socket; may throw if the URL is unusable. */
export type OpenSocket = (url: string, subprotocol: string) => Socket;

/** Where the connection stands. */
export type ConnectionState =
  | { kind: "connecting" }
  | { kind: "live"; welcome: Welcome }
  /** Between attempts; `retryAt` in milliseconds since 1970. */
  | { kind: "offline"; retryAt: number }
  | {
      kind: "ended";
      cause: EndCause | "left";
      /** The server's words, for a log. */
      reason: string;
      /** False if the server refused before any welcome. */
      wasLive: boolean;
    };

/** What the owner of a connection is told. */
export interface ConnectionEvents {
  /** The state changed. `live` comes before any message of that connection. */
  state(state: ConnectionState): void;
  /** A message other than those that keep the connection itself. */
  message(message: Message): void;
  /** A round trip was measured. */
  rtt?(milliseconds: number): void;
}

/** What a connection needs. */
export interface ConnectionOptions {
  url: string;
  token: string;
  openSocket: OpenSocket;
  events: ConnectionEvents;
  /** Named in hello. */
  client?: string;
  /** What the owner can do beyond the first version. */
  caps?: string[];
  /** 0 <= n < 1. */
  random?: () => number;
}

/** From the attempt to the welcome. */
const WELCOME_DEADLINE_MS = 10_000;

/** A DRCP/1 client that comes back until it is told not to. */
export class DrcpClient {
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  readonly #heartbeat: Heartbeat;
  readonly #calls: PendingCalls;
  #token: string;
  #state: ConnectionState = { kind: "connecting" };
  #socket: Socket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #resume: { sid: string; last_seq: number } | null = null;
  #announcedS: number | null = null;
  #wasLive = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#token = options.token;
    this.#backoff = new Backoff(options.random ?? Math.random);
    this.#heartbeat = new Heartbeat({
      ping: () => this.send({ channel: 0, type: "ping" }),
      rtt: (milliseconds) => options.events.rtt?.(milliseconds),
      dead: () => this.#drop(),
    });
    this.#calls = new PendingCalls((id, method, params) =>
      this.send({ channel: 0, type: "rpc", json: { id, method, params } }),
    );
  }

  /** Where the connection stands now. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Make the first attempt. */
  start(): void {
    this.#attempt();
  }

  /** Send in one frame; false, and nothing sent, unless the connection is live. */
  send(...messages: Message[]): boolean {
    if (this.#state.kind !== "live" || this.#socket === null) return false;
    this.#socket.send(encodeFrame(...messages) as Uint8Array<ArrayBuffer>);
    return true;
  }

  /** Send an event on channel 0; false unless live. */
  sendEvent(json: ClientEvent): boolean {
    return this.send({ channel: 0, type: "event", json });
  }

  /** Send a WebRTC signal to one participant; false unless live. */
  sendSignal(to: string, data: unknown): boolean {
    return this.send({ channel: 0, type: "signal", json: { to, data } });
  }

  /** Call a method of the server; rejects with RpcError. */
  rpc(method: string, params: unknown): Promise<unknown> {
    return this.#calls.call(method, params);
  }

  /** Use a newer token of the same participant, now and in later hellos. */
  refresh(token: string): void {
    this.#token = token;
    this.send({ channel: 0, type: "refresh", json: { token } });
  }

  /**
   * The outside saw a sign of change (back online, page visible again): an
   * offline connection tries at once, a live one checks that it still is.
   */
  hint(): void {
    if (this.#state.kind === "offline") {
      this.#backoff.reset();
      this.#attempt();
    } else if (this.#state.kind === "live") {
      this.#heartbeat.probe();
    }
  }

  /** Begin again on a new socket, for a new welcome. */
  reconnect(): void {
    if (this.#state.kind === "ended") return;
    this.#detach()?.close(1000, "again");
    this.#resume = null;
    this.#attempt();
  }

  /** Close for good. */
  leave(): void {
    if (this.#state.kind === "ended") return;
    const socket = this.#detach();
    socket?.close(1000, "left");
    this.#set({ kind: "ended", cause: "left", reason: "", wasLive: this.#wasLive });
  }

  #attempt(): void {
    clearTimeout(this.#timer);
    this.#announcedS = null;
    let socket: Socket;
    try {
      socket = this.#options.openSocket(this.#options.url, SUBPROTOCOL);
    } catch {
      this.#retry(null);
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(this.#hello());
    socket.onmessage = (event: { data: unknown }) => this.#receive(event.data);
    socket.onclose = (event: { code: number; reason: string }) =>
      this.#closed(event.code, event.reason);
    this.#timer = setTimeout(() => this.#drop(), WELCOME_DEADLINE_MS);
    this.#set({ kind: "connecting" });
  }

  #hello(): Uint8Array<ArrayBuffer> {
    return encodeFrame({
      channel: 0,
      type: "hello",
      json: {
        v: [1],
        client: this.#options.client ?? "mosaic-web",
        caps: this.#options.caps ?? [],
        token: this.#token,
        ...(this.#resume === null ? {} : { resume: this.#resume }),
      },
    }) as Uint8Array<ArrayBuffer>;
  }

  #receive(data: unknown): void {
    this.#heartbeat.heard();
    let messages: Message[];
    try {
      if (!(data instanceof ArrayBuffer)) throw new Error("not binary");
      messages = decodeFrame(new Uint8Array(data));
    } catch {
      // What comes after a torn frame cannot be trusted either.
      this.#drop();
      return;
    }
    const socket = this.#socket;
    for (const message of messages) {
      // A message before may have ended the connection.
      if (this.#socket !== socket) return;
      this.#accept(message);
    }
  }

  #accept(message: Message): void {
    if (message.type === "welcome") return this.#welcomed(message.json);
    if (message.type === "ping") {
      this.send({ channel: message.channel, type: "pong" });
      return;
    }
    if (message.type === "pong") return this.#heartbeat.ponged();
    if (message.type === "rpcResult") return this.#calls.settle(message.json);
    if (message.type === "error" && message.channel === 0) {
      this.#announced(message.json);
    }
    if (message.type === "event") this.#counted(message.json as ServerEvent);
    if (message.type === "resync" && this.#resume !== null) {
      this.#resume.last_seq = message.json.seq;
    }
    this.#options.events.message(message);
  }

  #welcomed(welcome: Welcome): void {
    clearTimeout(this.#timer);
    this.#backoff.reset();
    this.#wasLive = true;
    // After `resumed` the missed events follow and move last_seq themselves.
    if (!welcome.resumed || this.#resume === null) {
      this.#resume = { sid: welcome.sid, last_seq: welcome.seq };
    } else {
      this.#resume = { sid: welcome.sid, last_seq: this.#resume.last_seq };
    }
    this.#set({ kind: "live", welcome });
    this.#heartbeat.start();
  }

  #counted(event: ServerEvent): void {
    if (this.#resume !== null && event.seq > this.#resume.last_seq) {
      this.#resume.last_seq = event.seq;
    }
    if (event.type === "draining") this.#announcedS = event.data.retry_after_s;
  }

  #announced(error: WireError): void {
    if (error.retry_after_s !== undefined) this.#announcedS = error.retry_after_s;
  }

  /** The socket is useless, whatever it says itself. */
  #drop(): void {
    const socket = this.#detach();
    socket?.close(1000, "no answer");
    this.#retry(null);
  }

  #closed(code: number, reason: string): void {
    this.#detach();
    const closing = judgeClose(code, this.#announcedS);
    if (closing.kind === "end") {
      const { cause } = closing;
      this.#set({ kind: "ended", cause, reason, wasLive: this.#wasLive });
      return;
    }
    this.#retry(closing.kind === "retry-later" ? closing.afterS : null);
  }

  #retry(afterS: number | null): void {
    const delay =
      afterS === null ? this.#backoff.next() : this.#backoff.spread(afterS);
    this.#timer = setTimeout(() => this.#attempt(), delay);
    this.#set({ kind: "offline", retryAt: Date.now() + delay });
  }

  #detach(): Socket | null {
    clearTimeout(this.#timer);
    this.#heartbeat.stop();
    this.#calls.failAll();
    const socket = this.#socket;
    this.#socket = null;
    if (socket !== null) {
      socket.onopen = null;
      socket.onmessage = null;
      socket.onclose = null;
    }
    return socket;
  }

  #set(state: ConnectionState): void {
    this.#state = state;
    this.#options.events.state(state);
  }
}
