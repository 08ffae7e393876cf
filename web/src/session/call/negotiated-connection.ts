/** One RTCPeerConnection under perfect negotiation (W3C webrtc-pc, 10.7). */
import type { CallSignalBody, StreamKind } from "./signals";

/** The streams that we publish. */
export interface PublishedStreams {
  readonly camera: MediaStream | null;
  readonly screen: MediaStream | null;
}

/** What a negotiated connection needs of its call. */
export interface NegotiationHost {
  /** The side that gives way when both offer at once. */
  readonly polite: boolean;
  send(body: CallSignalBody): void;
  /** The state or a remote stream changed. */
  changed(): void;
  /** Negotiation broke: this connection is of no more use. */
  broken(error: unknown): void;
}

const KINDS = ["camera", "screen"] as const;

/** A peer connection that both sides may renegotiate at any time. */
export class NegotiatedConnection {
  readonly #pc: RTCPeerConnection;
  readonly #host: NegotiationHost;
  /** Our senders, one-way each, so that the two sides never share a slot. */
  readonly #slots = new Map<string, RTCRtpTransceiver>();
  /** The first stream of each kind: its id stays in the SDP for ever. */
  readonly #carriers = new Map<StreamKind, MediaStream>();
  readonly #remoteKinds = new Map<string, StreamKind>();
  readonly #remote = new Map<StreamKind, MediaStream>();
  #makingOffer = false;
  #settingAnswer = false;
  #ignoringOffer = false;
  #closed = false;

  constructor(pc: RTCPeerConnection, host: NegotiationHost) {
    this.#pc = pc;
    this.#host = host;
    pc.onnegotiationneeded = () => void this.#offer();
    pc.onicecandidate = ({ candidate }) => {
      const plain = candidate === null ? null : candidate.toJSON();
      host.send({ kind: "candidate", candidate: plain });
    };
    pc.ontrack = ({ streams }) => this.#arrived(streams[0]);
    pc.onconnectionstatechange = () => host.changed();
  }

  /** The state of transport and encryption together. */
  get state(): RTCPeerConnectionState {
    return this.#closed ? "closed" : this.#pc.connectionState;
  }

  /**
   * True if an offer of theirs would roll back the very first of ours. After
   * that Chromium may never gather candidates, not even on an ICE restart: a
   * fresh connection has to take the offer.
   */
  get wouldRollBackTheFirst(): boolean {
    return (
      this.#host.polite &&
      !this.stable &&
      !this.#settingAnswer &&
      this.#pc.remoteDescription === null
    );
  }

  /** True if no offer is open. */
  get stable(): boolean {
    return this.#pc.signalingState === "stable" && !this.#makingOffer;
  }

  /** A stream of the other side's; null if it sends none of that kind. */
  remote(kind: StreamKind): MediaStream | null {
    return this.#remote.get(kind) ?? null;
  }

  /** Send these; what was sent before is replaced without renegotiation. */
  publish(streams: PublishedStreams): void {
    for (const kind of KINDS) {
      const stream = streams[kind];
      this.#place(kind, "audio", stream, stream?.getAudioTracks()[0] ?? null);
      this.#place(kind, "video", stream, stream?.getVideoTracks()[0] ?? null);
    }
  }

  /** A description or a candidate of the other side. */
  async receive(body: CallSignalBody): Promise<void> {
    try {
      if (body.kind === "description") {
        for (const [id, kind] of Object.entries(body.streams)) {
          this.#remoteKinds.set(id, kind);
        }
        await this.#describe(body.description);
      } else if (body.kind === "candidate") {
        await this.#addCandidate(body.candidate);
      }
    } catch (error) {
      if (!this.#closed) this.#host.broken(error);
    }
  }

  /** Look for a path again, keeping media and encryption. */
  restartIce(): void {
    this.#pc.restartIce();
  }

  /** Use these servers from the next ICE restart on. */
  configure(configuration: RTCConfiguration): void {
    this.#pc.setConfiguration(configuration);
  }

  /** Statistics of the transport. */
  stats(): Promise<RTCStatsReport> {
    return this.#pc.getStats();
  }

  /** End it; nothing is called back any more. */
  close(): void {
    this.#closed = true;
    this.#pc.onnegotiationneeded = null;
    this.#pc.onicecandidate = null;
    this.#pc.ontrack = null;
    this.#pc.onconnectionstatechange = null;
    this.#pc.close();
    this.#remote.clear();
  }

  async #offer(): Promise<void> {
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      this.#sendDescription();
    } catch (error) {
      if (!this.#closed) this.#host.broken(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  async #describe(description: RTCSessionDescriptionInit): Promise<void> {
    const isOffer = description.type === "offer";
    const free =
      !this.#makingOffer &&
      (this.#pc.signalingState === "stable" || this.#settingAnswer);
    this.#ignoringOffer = isOffer && !free && !this.#host.polite;
    if (this.#ignoringOffer) return;
    if (!isOffer && this.#pc.signalingState === "stable") return; // late answer
    this.#settingAnswer = !isOffer;
    try {
      // Rolls our own offer back if we are the polite side.
      await this.#pc.setRemoteDescription(description);
    } finally {
      this.#settingAnswer = false;
    }
    if (!isOffer || this.#closed) return;
    await this.#pc.setLocalDescription();
    this.#sendDescription();
  }

  async #addCandidate(candidate: RTCIceCandidateInit | null): Promise<void> {
    try {
      await this.#pc.addIceCandidate(candidate ?? undefined);
    } catch {
      // Of an offer that we ignored, or of a path that we cannot use; one
      // candidate less is never the end of a call.
    }
  }

  #sendDescription(): void {
    const description = this.#pc.localDescription;
    if (this.#closed || description === null) return;
    const streams: Record<string, StreamKind> = {};
    for (const [kind, carrier] of this.#carriers) streams[carrier.id] = kind;
    this.#host.send({
      kind: "description",
      description: { type: description.type, sdp: description.sdp },
      streams,
    });
  }

  #place(
    kind: StreamKind,
    media: "audio" | "video",
    stream: MediaStream | null,
    track: MediaStreamTrack | null,
  ): void {
    const slot = this.#slots.get(`${kind} ${media}`);
    if (slot === undefined) {
      if (track === null || stream === null) return;
      const carrier = this.#carriers.get(kind) ?? stream;
      this.#carriers.set(kind, carrier);
      const transceiver = this.#pc.addTransceiver(track, {
        direction: "sendonly",
        streams: [carrier],
      });
      this.#slots.set(`${kind} ${media}`, transceiver);
      return;
    }
    if (slot.sender.track !== track) {
      slot.sender
        .replaceTrack(track)
        .catch((error: unknown) => this.#host.broken(error));
    }
    const direction = track === null ? "inactive" : "sendonly";
    if (slot.direction !== direction) slot.direction = direction;
  }

  #arrived(stream: MediaStream | undefined): void {
    if (stream === undefined) return;
    const kind = this.#remoteKinds.get(stream.id) ?? "camera";
    if (this.#remote.get(kind) !== stream) {
      this.#remote.set(kind, stream);
      stream.addEventListener("removetrack", () => {
        if (stream.getTracks().length > 0) return;
        if (this.#remote.get(kind) === stream) this.#remote.delete(kind);
        this.#host.changed();
      });
    }
    this.#host.changed();
  }
}
