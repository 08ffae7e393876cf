/** Streams and tracks without devices. */

let count = 0;

export class FakeTrack extends EventTarget {
  readonly id = `track-${++count}`;
  readonly kind: "audio" | "video";
  enabled = true;
  readyState: "live" | "ended" = "live";

  constructor(kind: "audio" | "video") {
    super();
    this.kind = kind;
  }

  stop(): void {
    this.readyState = "ended";
  }

  /** The device is gone, or the user stopped it in the browser. */
  end(): void {
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }
}

export class FakeStream extends EventTarget {
  readonly id: string;
  tracks: FakeTrack[];

  constructor(tracks: FakeTrack[], id = `stream-${++count}`) {
    super();
    this.id = id;
    this.tracks = tracks;
  }

  getTracks(): FakeTrack[] {
    return [...this.tracks];
  }

  getAudioTracks(): FakeTrack[] {
    return this.tracks.filter(({ kind }) => kind === "audio");
  }

  getVideoTracks(): FakeTrack[] {
    return this.tracks.filter(({ kind }) => kind === "video");
  }
}

/** A stream in the type that the session expects. */
export function stream(...kinds: ("audio" | "video")[]): MediaStream & FakeStream {
  const made = new FakeStream(kinds.map((kind) => new FakeTrack(kind)));
  return made as unknown as MediaStream & FakeStream;
}
