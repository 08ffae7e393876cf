/** What we send: camera, microphone, screen, and which of them are on. */
import type { LocalMedia } from "./api";

/** Our streams. Switching off disables a track and keeps the device. */
export class LocalStreams {
  readonly #changed: () => void;
  readonly #screenEnded: () => void;
  #camera: MediaStream | null = null;
  #screen: MediaStream | null = null;
  #micWanted = true;
  #camWanted = true;
  #state: LocalMedia | null = null;

  /** screenEnded: the user stopped sharing by the browser's own button. */
  constructor(changed: () => void, screenEnded: () => void) {
    this.#changed = changed;
    this.#screenEnded = screenEnded;
  }

  /** What is on in truth: a microphone that is not there is never on. */
  get state(): LocalMedia {
    this.#state ??= {
      camera: this.#camera,
      screen: this.#screen,
      micOn: this.#micWanted && hasLive(this.#camera?.getAudioTracks()),
      camOn: this.#camWanted && hasLive(this.#camera?.getVideoTracks()),
    };
    return this.#state;
  }

  /** Camera and microphone; the tracks of the stream before are not stopped. */
  setCamera(stream: MediaStream | null): void {
    this.#camera = stream;
    this.#watch(stream, () => this.#update());
    this.#update();
  }

  /** The microphone button. */
  setMicOn(on: boolean): void {
    this.#micWanted = on;
    this.#update();
  }

  /** The camera button. */
  setCamOn(on: boolean): void {
    this.#camWanted = on;
    this.#update();
  }

  /** Present a screen, or none; the tracks of the one before are stopped. */
  setScreen(stream: MediaStream | null): void {
    const before = this.#screen;
    if (before !== stream) stop(before);
    this.#screen = stream;
    this.#watch(stream, () => {
      if (this.#screen === stream && !hasLive(stream?.getVideoTracks())) {
        this.#screenEnded();
      }
    });
    this.#update();
  }

  /** Release every device. */
  stop(): void {
    stop(this.#camera);
    stop(this.#screen);
    this.#camera = null;
    this.#screen = null;
    this.#state = null;
  }

  #watch(stream: MediaStream | null, ended: () => void): void {
    for (const track of stream?.getTracks() ?? []) {
      track.addEventListener("ended", ended);
    }
  }

  #update(): void {
    for (const track of this.#camera?.getAudioTracks() ?? []) {
      track.enabled = this.#micWanted;
    }
    for (const track of this.#camera?.getVideoTracks() ?? []) {
      track.enabled = this.#camWanted;
    }
    this.#state = null;
    this.#changed();
  }
}

function hasLive(tracks: readonly MediaStreamTrack[] | undefined): boolean {
  return tracks?.some((track) => track.readyState === "live") ?? false;
}

function stop(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
