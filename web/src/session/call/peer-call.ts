/** The call with one person: connections come and go, the call stays. */
import type { CallState } from "../api";
import {
  NegotiatedConnection,
  type PublishedStreams,
} from "./negotiated-connection";
import { NO_PATH, readPath, type CallPath } from "./path";
import { Recovery } from "./recovery";
import type { CallSignal, CallSignalBody, StreamKind } from "./signals";

/** What a call needs of the mesh. */
export interface CallHost {
  /** Names this page among all pages of this participant. */
  readonly instance: string;
  createConnection(configuration: RTCConfiguration): RTCPeerConnection;
  servers(): RTCIceServer[];
  /** Relay only from the beginning. */
  readonly forceRelay: boolean;
  /** False if it could not be sent. */
  send(personId: string, signal: CallSignal): boolean;
  changed(): void;
  /** What we publish now. */
  local(): PublishedStreams;
}

/** One call. */
export class PeerCall {
  readonly personId: string;
  readonly #host: CallHost;
  readonly #polite: boolean;
  readonly #recovery: Recovery;
  #connection: NegotiatedConnection | null = null;
  #peerInstance: string | null = null;
  #generation = 0;
  #relay = false;
  #started = false;
  #failed = false;
  #lost = false;
  #lastState: RTCPeerConnectionState = "new";
  #path: CallPath = NO_PATH;

  constructor(myId: string, personId: string, host: CallHost) {
    this.personId = personId;
    this.#host = host;
    this.#polite = myId < personId;
    this.#recovery = new Recovery(this.#polite, {
      perform: (action) => {
        // Nobody has anything to send: there is nothing to recover.
        if (!this.#started) this.#recovery.stop();
        else if (action === "restart") this.#restart();
        else this.#renew(true);
      },
      failed: () => {
        this.#failed = true;
        this.#host.changed();
      },
    });
  }

  /** How the call stands. */
  get state(): CallState {
    return { kind: this.#kind(), ...this.#path };
  }

  /** What the person sends. */
  remote(kind: StreamKind): MediaStream | null {
    return this.#connection?.remote(kind) ?? null;
  }

  /** Tell the person that this page is here. */
  greet(): void {
    this.#send({ kind: "hello" });
  }

  /** Our streams changed. */
  publish(): void {
    const local = this.#host.local();
    if (this.#connection === null) {
      if (local.camera === null && local.screen === null) return;
      this.#open();
      return;
    }
    this.#connection.publish(local);
  }

  /** A signal of the person's. */
  receive(signal: CallSignal): void {
    const { body } = signal;
    if (signal.to !== null && signal.to !== this.#host.instance) {
      // Meant for the page before a reload: let them know of this one.
      if (body.kind !== "candidate") this.greet();
      return;
    }
    const known = this.#peerInstance;
    if (known !== null && known !== signal.instance) this.#reset();
    this.#peerInstance = signal.instance;
    if (body.kind === "hello") {
      // Their page is new to us; what we may have offered reaches it still.
      if (this.#connection === null) this.publish();
      return;
    }
    if (signal.generation < this.#generation) {
      if (body.kind !== "candidate") this.#send({ kind: "renew" });
      return;
    }
    if (signal.generation > this.#generation || this.#connection === null) {
      this.#replace(signal.generation, signal.relay);
    }
    if (body.kind === "renew") return;
    if (body.kind === "description") {
      if (body.description.type === "offer" && this.#connection?.wouldRollBackTheFirst) {
        this.#takeOver(body);
        return;
      }
      this.#begun();
    }
    void this.#connection?.receive(body);
  }

  /** Glare at the very beginning: answer on a fresh connection, then offer ours. */
  #takeOver(offer: CallSignalBody): void {
    this.#connection?.close();
    const connection = this.#make();
    this.#begun();
    void connection.receive(offer).then(() => {
      if (this.#connection === connection) connection.publish(this.#host.local());
    });
  }

  /** Signalling is back: repair what was lost in between. */
  resume(): void {
    const connection = this.#connection;
    if (connection === null) return;
    const { state } = connection;
    if (this.#lost || !connection.stable || (this.#started && state !== "connected")) {
      this.#renew(this.#relay);
    }
  }

  /** Signalling is away: a repair could not be agreed upon. */
  suspend(): void {
    this.#recovery.stop();
  }

  /** The network changed under us. */
  networkChanged(): void {
    if (this.#started) this.#restart();
  }

  /** New credentials. */
  serversChanged(): void {
    const connection = this.#connection;
    if (connection === null) return;
    connection.configure(this.#configuration());
    if (this.#started && connection.state !== "connected") this.#restart();
  }

  /** Read the path of a connected call. */
  async measure(): Promise<void> {
    const connection = this.#connection;
    if (connection?.state !== "connected") return;
    const path = readPath(await connection.stats());
    if (this.#connection !== connection) return;
    this.#path = path;
    this.#host.changed();
  }

  /** Hang up. */
  close(): void {
    this.#recovery.stop();
    this.#connection?.close();
    this.#connection = null;
  }

  #kind(): CallState["kind"] {
    if (this.#connection === null || !this.#started) return "idle";
    if (this.#connection.state === "connected") return "connected";
    return this.#failed ? "failed" : "connecting";
  }

  #configuration(): RTCConfiguration {
    const iceServers = this.#host.servers();
    // Relay alone without a relay could reach nobody.
    const relay =
      this.#host.forceRelay || (this.#relay && iceServers.length > 0);
    return { iceServers, iceTransportPolicy: relay ? "relay" : "all" };
  }

  #open(): void {
    this.#make().publish(this.#host.local());
    this.#host.changed();
  }

  #make(): NegotiatedConnection {
    const pc = this.#host.createConnection(this.#configuration());
    const connection: NegotiatedConnection = new NegotiatedConnection(pc, {
      polite: this.#polite,
      send: (body) => {
        if (body.kind === "description") this.#begun();
        this.#send(body);
      },
      changed: () => this.#stateChanged(connection),
      broken: () => this.#recovery.broken(),
    });
    this.#connection = connection;
    this.#lastState = "new";
    this.#started = false;
    this.#lost = false;
    this.#path = NO_PATH;
    return connection;
  }

  #begun(): void {
    this.#started = true;
    if (this.#connection?.state !== "connected") this.#recovery.started();
    this.#host.changed();
  }

  #stateChanged(connection: NegotiatedConnection): void {
    if (this.#connection !== connection) return;
    const { state } = connection;
    if (state !== this.#lastState) {
      this.#lastState = state;
      if (state === "connected") {
        this.#failed = false;
        this.#recovery.connected();
        void this.measure();
      } else if (state === "disconnected") this.#recovery.disconnected();
      else if (state === "failed") this.#recovery.broken();
      if (state !== "connected") this.#path = NO_PATH;
    }
    this.#host.changed();
  }

  #restart(): void {
    this.#connection?.restartIce();
  }

  /** Ask the person for a new connection on both sides. */
  #renew(relay: boolean): void {
    this.#replace(this.#generation + 1, relay);
    this.#send({ kind: "renew" });
  }

  #replace(generation: number, relay: boolean): void {
    const renewing = this.#connection !== null;
    this.#connection?.close();
    this.#generation = generation;
    this.#relay = relay;
    this.#open();
    if (renewing) this.#recovery.renewed(relay);
  }

  /** The person has another page now: nothing of before holds. */
  #reset(): void {
    this.#recovery.stop();
    this.#recovery.connected();
    this.#connection?.close();
    this.#connection = null;
    this.#generation = 0;
    this.#relay = false;
    this.#started = false;
    this.#failed = false;
    this.#peerInstance = null;
  }

  #send(body: CallSignalBody): void {
    const sent = this.#host.send(this.personId, {
      v: 1,
      instance: this.#host.instance,
      to: this.#peerInstance,
      generation: this.#generation,
      relay: this.#relay,
      body,
    });
    if (!sent) this.#lost = true;
  }
}
