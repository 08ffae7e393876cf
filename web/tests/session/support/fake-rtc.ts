/**
 * RTCPeerConnection as far as calls depend on it: the signalling states of
 * webrtc-pc with implicit rollback, one operation at a time, m-lines with
 * direction and stream id, and a network that lets packets through or not.
 */
import { FakeStream, FakeTrack } from "./fake-media";

/** What the networks between all browsers let through. */
export class FakeNetwork {
  direct = true;
  relay = true;
  readonly connections: FakeConnection[] = [];

  create = (configuration: RTCConfiguration): RTCPeerConnection => {
    const made = new FakeConnection(this, configuration);
    this.connections.push(made);
    return made as unknown as RTCPeerConnection;
  };

  /** Those that are not closed. */
  get open(): FakeConnection[] {
    return this.connections.filter(({ closed }) => !closed);
  }

  path(a: FakeConnection, b: FakeConnection): "direct" | "relay" | null {
    const relayOnly = a.relayOnly || b.relayOnly;
    if (this.direct && !relayOnly) return "direct";
    // The trap that makes a second step needed: under policy `all`, a relay
    // that would work is not always found.
    return this.relay && a.relayOnly && b.relayOnly && a.hasServers
      ? "relay"
      : null;
  }
}

interface Line {
  mid: string;
  kind: "audio" | "video";
  sends: boolean;
  stream: string | null;
}

interface Sdp {
  id: number;
  ufrag: number;
  lines: Line[];
}

class FakeTransceiver {
  mid: string | null = null;
  #direction: string;
  readonly kind: "audio" | "video";
  readonly streamId: string | null;
  readonly #pc: FakeConnection;
  readonly sender: { track: FakeTrack | null; replaceTrack(track: FakeTrack | null): Promise<void> };

  constructor(
    pc: FakeConnection,
    kind: "audio" | "video",
    direction: string,
    track: FakeTrack | null,
    streamId: string | null,
  ) {
    this.#pc = pc;
    this.kind = kind;
    this.#direction = direction;
    this.streamId = streamId;
    const sender = {
      track,
      replaceTrack: (next: FakeTrack | null) => {
        sender.track = next;
        return Promise.resolve();
      },
    };
    this.sender = sender;
  }

  get direction(): string {
    return this.#direction;
  }

  set direction(direction: string) {
    this.#direction = direction;
    this.#pc.needNegotiation();
  }
}

let ids = 0;

export class FakeConnection {
  onnegotiationneeded: (() => void) | null = null;
  onicecandidate: ((event: { candidate: null }) => void) | null = null;
  ontrack: ((event: { streams: FakeStream[] }) => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  signalingState = "stable";
  connectionState = "new";
  localDescription: { type: string; sdp: string } | null = null;
  closed = false;
  ignored = 0;
  restarts = 0;
  configuration: RTCConfiguration;
  readonly id = ++ids;
  readonly #network: FakeNetwork;
  readonly #transceivers: FakeTransceiver[] = [];
  readonly #streams = new Map<string, FakeStream>();
  readonly #received = new Map<string, { stream: FakeStream; track: FakeTrack }>();
  #chain: Promise<unknown> = Promise.resolve();
  #needed = false;
  #ufrag = 0;
  #agreedUfrag = 0;
  #newMids: FakeTransceiver[] = [];
  #peer: FakeConnection | null = null;
  #pending: Sdp | null = null;

  constructor(network: FakeNetwork, configuration: RTCConfiguration) {
    this.#network = network;
    this.configuration = configuration;
  }

  get relayOnly(): boolean {
    return this.configuration.iceTransportPolicy === "relay";
  }

  get hasServers(): boolean {
    return (this.configuration.iceServers ?? []).length > 0;
  }

  addTransceiver(
    track: FakeTrack,
    init: { direction: string; streams: FakeStream[] },
  ): FakeTransceiver {
    const streamId = init.streams[0]?.id ?? null;
    const made = new FakeTransceiver(this, track.kind, init.direction, track, streamId);
    this.#transceivers.push(made);
    this.needNegotiation();
    return made;
  }

  restartIce(): void {
    this.restarts += 1;
    this.#ufrag += 1;
    this.needNegotiation();
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }

  needNegotiation(): void {
    this.#needed = true;
    void this.#enqueue(() => undefined);
  }

  setLocalDescription(): Promise<void> {
    return this.#enqueue(() => {
      const type = this.signalingState === "have-remote-offer" ? "answer" : "offer";
      const sdp = this.#describe(type);
      this.localDescription = { type, sdp: JSON.stringify(sdp) };
      if (type === "offer") {
        this.signalingState = "have-local-offer";
        this.#needed = false;
      } else {
        this.signalingState = "stable";
        this.#agree();
      }
      queueMicrotask(() => this.onicecandidate?.({ candidate: null }));
    });
  }

  setRemoteDescription(description: { type: string; sdp: string }): Promise<void> {
    return this.#enqueue(() => {
      const sdp = JSON.parse(description.sdp) as Sdp;
      if (description.type === "offer") {
        if (this.signalingState === "have-local-offer") this.#rollBack();
        this.signalingState = "have-remote-offer";
      } else {
        if (this.signalingState !== "have-local-offer") {
          throw new Error(`an answer in ${this.signalingState}`);
        }
        this.signalingState = "stable";
      }
      this.#pending = sdp;
      this.#receive(sdp.lines);
      if (description.type === "answer") this.#agree();
    });
  }

  addIceCandidate(): Promise<void> {
    return this.#enqueue(() => {
      if (this.#pending === null) throw new Error("no remote description");
    });
  }

  getStats(): Promise<Map<string, Record<string, unknown>>> {
    const path = this.#peer === null ? null : this.#network.path(this, this.#peer);
    const type = path === "relay" ? "relay" : "host";
    const stats = [
      { id: "T", type: "transport", selectedCandidatePairId: "P" },
      {
        id: "P",
        type: "candidate-pair",
        localCandidateId: "L",
        remoteCandidateId: "R",
        currentRoundTripTime: 0.0244,
      },
      { id: "L", type: "local-candidate", candidateType: type, relayProtocol: "tls" },
      { id: "R", type: "remote-candidate", candidateType: type },
    ];
    return Promise.resolve(new Map(stats.map((stat) => [stat.id, stat])));
  }

  /** The tracks that we send now, by stream id. */
  get sending(): string[] {
    return this.#transceivers
      .filter(({ direction, sender }) => direction === "sendonly" && sender.track)
      .map(({ sender }) => sender.track?.id ?? "");
  }

  close(): void {
    this.closed = true;
    this.signalingState = "closed";
    this.connectionState = "closed";
    // The other side notices only that packets stop.
    const peer = this.#peer;
    setTimeout(() => peer?.setState("disconnected"), 5_000);
  }

  setState(state: string): void {
    if (this.closed || this.connectionState === state) return;
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  #enqueue(work: () => void): Promise<void> {
    const result = this.#chain.then(async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (this.closed) await new Promise(() => undefined); // never settles, as in webrtc-pc
      work();
    });
    this.#chain = result.then(
      () => this.#maybeNeed(),
      () => undefined,
    );
    return result;
  }

  #maybeNeed(): void {
    if (!this.#needed || this.signalingState !== "stable" || this.closed) return;
    this.#needed = false;
    this.onnegotiationneeded?.();
  }

  #describe(type: string): Sdp {
    if (type === "offer") {
      for (const transceiver of this.#transceivers) {
        if (transceiver.mid !== null) continue;
        transceiver.mid = `${this.id}.${++ids}`;
        this.#newMids.push(transceiver);
      }
    }
    const lines = this.#transceivers
      .filter(({ mid }) => mid !== null)
      .map(({ mid, kind, direction, streamId }) => ({
        mid: mid ?? "",
        kind,
        sends: direction === "sendonly",
        stream: streamId,
      }));
    return { id: this.id, ufrag: this.#ufrag, lines };
  }

  #rollBack(): void {
    for (const transceiver of this.#newMids) transceiver.mid = null;
    this.#newMids = [];
    this.#needed = true;
  }

  #receive(lines: Line[]): void {
    const own = new Set(this.#transceivers.map(({ mid }) => mid));
    for (const { mid, kind, sends, stream: id } of lines) {
      if (own.has(mid) || id === null) continue;
      const before = this.#received.get(mid);
      if (sends && before === undefined) {
        const stream = this.#streams.get(id) ?? new FakeStream([], id);
        this.#streams.set(id, stream);
        const track = new FakeTrack(kind);
        stream.tracks.push(track);
        this.#received.set(mid, { stream, track });
        this.ontrack?.({ streams: [stream] });
      } else if (!sends && before !== undefined) {
        const { stream, track } = before;
        stream.tracks = stream.tracks.filter((other) => other !== track);
        this.#received.delete(mid);
        stream.dispatchEvent(new Event("removetrack"));
      }
    }
  }

  #agree(): void {
    this.#newMids = [];
    const remote = this.#pending;
    if (remote === null) return;
    const peer = this.#network.connections.find(({ id }) => id === remote.id);
    this.#peer = peer ?? null;
    const ufrag = this.#ufrag + remote.ufrag;
    if (this.connectionState === "connected" && ufrag === this.#agreedUfrag) return;
    this.#agreedUfrag = ufrag;
    if (this.connectionState === "new") this.setState("connecting");
    setTimeout(() => {
      if (this.closed || peer === undefined || peer.closed) return;
      const path = this.#network.path(this, peer);
      if (path !== null) this.setState("connected");
    }, 100);
  }
}
