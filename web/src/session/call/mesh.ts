/** The calls of a room: one with each other person. */
import type { RemoteMedia } from "../api";
import { IceServers, type RelayChoice } from "./ice-servers";
import type { PublishedStreams } from "./negotiated-connection";
import { PeerCall, type CallHost } from "./peer-call";
import { readCallSignal, type CallSignal } from "./signals";
import type { TurnCredentials } from "../../protocol";

/** What the calls need of their meeting. */
export interface MeshOptions {
  readonly instance: string;
  readonly relay: RelayChoice;
  createConnection(configuration: RTCConfiguration): RTCPeerConnection;
  fetchCredentials(): Promise<TurnCredentials>;
  /** The name of the nearest of their regions, "" for the server itself. */
  nearest?(credentials: TurnCredentials): Promise<string>;
  send(personId: string, signal: CallSignal): boolean;
  local(): PublishedStreams;
  changed(): void;
}

/** Credentials later than this do not hold up a direct call. */
const CREDENTIALS_PATIENCE_MS = 3_000;
/** A person whose connection breaks and comes back keeps the call. */
const RETURN_MS = 5_000;
const STATS_MS = 2_000;

/**
 * The credentials of one call: a relay counts allocations for each credential,
 * so that each call has its own. The call waits for them, but not for ever.
 */
class Preparation {
  over = false;
  readonly #ice: IceServers;
  readonly #patience: ReturnType<typeof setTimeout>;
  #backlog: (() => void)[] = [];

  constructor(options: MeshOptions, serversChanged: () => void) {
    this.#ice = new IceServers(
      () => options.fetchCredentials(),
      options.relay,
      serversChanged,
      options.nearest && ((credentials) => options.nearest!(credentials)),
    );
    this.#patience = setTimeout(() => this.#end(), CREDENTIALS_PATIENCE_MS);
    void this.#ice.ready().then(() => this.#end());
  }

  /** The servers known by now. */
  get servers(): RTCIceServer[] {
    return this.#ice.servers;
  }

  /** Do it afterwards. */
  afterwards(work: () => void): void {
    this.#backlog.push(work);
  }

  /** The call is over. */
  stop(): void {
    clearTimeout(this.#patience);
    this.#backlog = [];
    this.#ice.stop();
  }

  #end(): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#patience);
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const work of backlog) work();
  }
}

/** All calls of this page. */
export class CallMesh {
  readonly #options: MeshOptions;
  readonly #calls = new Map<string, PeerCall>();
  readonly #preparations = new Map<string, Preparation>();
  readonly #departed = new Map<string, ReturnType<typeof setTimeout>>();
  #stats: ReturnType<typeof setInterval> | undefined;
  #myId: string | null = null;
  #list: readonly RemoteMedia[] | null = null;

  constructor(options: MeshOptions) {
    this.#options = options;
  }

  /** The people with whom we are, whether media flow or not. */
  get remote(): readonly RemoteMedia[] {
    this.#list ??= [...this.#calls.values()]
      .filter(({ personId }) => !this.#departed.has(personId))
      .map((call) => ({
        personId: call.personId,
        camera: call.remote("camera"),
        screen: call.remote("screen"),
        call: call.state,
      }));
    return this.#list;
  }

  /** The connection is live: these are here, everybody else is gone. */
  live(myId: string, others: readonly string[]): void {
    if (this.#myId === null) this.#begin();
    if (this.#myId !== myId) {
      this.#myId = myId;
      for (const id of [...this.#calls.keys()]) this.#end(id);
    }
    for (const id of this.#calls.keys()) {
      if (!others.includes(id)) this.left(id);
    }
    for (const call of this.#calls.values()) {
      if (!this.#departed.has(call.personId)) call.resume();
    }
    for (const id of others) this.joined(id);
    for (const id of others) this.#whenReady(id, (call) => call.greet());
  }

  /** Signalling is away. */
  offline(): void {
    for (const call of this.#calls.values()) call.suspend();
  }

  /** Someone is here. */
  joined(personId: string): void {
    const leaving = this.#departed.get(personId);
    if (leaving !== undefined) {
      clearTimeout(leaving);
      this.#departed.delete(personId);
      this.#calls.get(personId)?.resume();
    }
    this.#whenReady(personId, (call) => call.publish());
    this.#changed();
  }

  /** Someone is gone; for a moment perhaps. */
  left(personId: string): void {
    const call = this.#calls.get(personId);
    if (call === undefined || this.#departed.has(personId)) return;
    call.suspend();
    const timer = setTimeout(() => this.#end(personId), RETURN_MS);
    this.#departed.set(personId, timer);
    this.#changed();
  }

  /** A signal arrived. */
  receive(from: string, data: unknown): void {
    const signal = readCallSignal(data);
    if (signal === null || from === this.#myId) return;
    this.#whenReady(from, (call) => call.receive(signal));
  }

  /** Our streams changed. */
  publish(): void {
    for (const id of this.#calls.keys()) {
      this.#whenReady(id, (call) => {
        if (!this.#departed.has(id)) call.publish();
      });
    }
  }

  /** The network changed under us. */
  networkChanged(): void {
    for (const call of this.#calls.values()) call.networkChanged();
  }

  /** Hang up everywhere. */
  close(): void {
    clearInterval(this.#stats);
    for (const id of [...this.#calls.keys()]) this.#end(id);
    this.#myId = null;
  }

  #begin(): void {
    this.#stats = setInterval(() => {
      for (const call of this.#calls.values()) {
        // A connection that closes meanwhile has no statistics.
        call.measure().catch(() => undefined);
      }
    }, STATS_MS);
  }

  /** What a call does waits for its credentials, in order. */
  #whenReady(personId: string, work: (call: PeerCall) => void): void {
    const call = this.#call(personId);
    if (call === null) return;
    const preparation = this.#preparations.get(personId);
    if (preparation === undefined || preparation.over) work(call);
    else preparation.afterwards(() => work(call));
  }

  #call(personId: string): PeerCall | null {
    if (this.#myId === null) return null;
    let call = this.#calls.get(personId);
    if (call === undefined) {
      const made = new PeerCall(this.#myId, personId, this.#host(personId));
      call = made;
      this.#calls.set(personId, made);
      this.#preparations.set(
        personId,
        new Preparation(this.#options, () => made.serversChanged()),
      );
      this.#changed();
    }
    return call;
  }

  #host(personId: string): CallHost {
    const options = this.#options;
    return {
      instance: options.instance,
      forceRelay: options.relay !== null,
      createConnection: (configuration) =>
        options.createConnection(configuration),
      servers: () => this.#preparations.get(personId)?.servers ?? [],
      send: (personId, signal) => options.send(personId, signal),
      local: () => options.local(),
      changed: () => this.#changed(),
    };
  }

  #end(personId: string): void {
    clearTimeout(this.#departed.get(personId));
    this.#departed.delete(personId);
    this.#preparations.get(personId)?.stop();
    this.#preparations.delete(personId);
    this.#calls.get(personId)?.close();
    this.#calls.delete(personId);
    this.#changed();
  }

  #changed(): void {
    this.#list = null;
    this.#options.changed();
  }
}
