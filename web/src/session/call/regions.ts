/**
 * Which place with relays is nearest: asked of the relays themselves, by the
 * way that media would take. A browser measures nothing else of another
 * server, so the time to a relayed address is what there is.
 */
import type { TurnCredentials } from "../../protocol";
import { allows, wayOfUrl, type RelayChoice } from "./ice-servers";

/** Ways to a relay, the cheapest first. */
export type Way = "udp" | "tcp" | "tls";

/** Relays in one place; the name is "" for the server that was asked. */
export interface Place {
  readonly name: string;
  readonly urls: readonly string[];
}

/** rttMs: milliseconds of a round trip; null where no relay answered in time. */
export interface PlaceFound {
  readonly name: string;
  readonly rttMs: number | null;
  readonly way: Way | null;
}

/** What measuring needs of its surroundings. */
export interface MeasuringEnvironment {
  createConnection(configuration: RTCConfiguration): RTCPeerConnection;
  /** Milliseconds that only go forward. */
  now(): number;
}

export interface Measuring {
  readonly choice: RelayChoice;
  /** Milliseconds after which nobody is waited for. */
  readonly deadlineMs: number;
  /** Only the nearest is wanted: what has not answered in twice its time is not. */
  readonly nearestAlone: boolean;
}

/** Round trips until an address is given (RFC 8656): asked, challenged, given; TCP
 * and TLS 1.3 shake hands before. */
const TRIPS: Record<Way, number> = { udp: 2, tcp: 3, tls: 4 };
/** A machine that is busy is late by as much; the better of so many counts. */
const ROUNDS = 2;
const GRACE_MS = 100;

/** The server's own place, and those beside it. */
export function placesOf({ urls, regions = [] }: TurnCredentials): Place[] {
  return [{ name: "", urls }, ...regions];
}

/** How far each place is, in their order. Never rejects. */
export async function measurePlaces(
  credentials: TurnCredentials,
  places: readonly Place[],
  env: MeasuringEnvironment,
  { choice, deadlineMs, nearestAlone }: Measuring,
): Promise<PlaceFound[]> {
  const end = env.now() + deadlineMs;
  const found = places.map(({ name }): PlaceFound => ({ name, rttMs: null, way: null }));
  for (let round = 0; round < ROUNDS; round++) {
    const race = new Race(env, end, nearestAlone);
    const asked = places.map(async (place, at) => {
      const before = found[at] as PlaceFound;
      if (round > 0 && before.rttMs === null) return;
      const servers = probeServers(place, credentials, choice);
      const now = servers === null ? null : await race.run(servers);
      if (now === null) return;
      const better = before.rttMs === null || now.rttMs < before.rttMs;
      if (better) found[at] = { name: place.name, ...now };
    });
    await Promise.all(asked);
    race.over();
    if (env.now() >= end) break;
  }
  return found;
}

/** The name of the nearest, "" if no place answered. */
export function nearestOf(found: readonly PlaceFound[]): string {
  let best: PlaceFound | null = null;
  for (const place of found) {
    if (place.rttMs === null) continue;
    if (best === null || place.rttMs < (best.rttMs ?? Infinity)) best = place;
  }
  return best?.name ?? "";
}

/** One URL for UDP and one for TLS or TCP: each is an allocation. */
function probeServers(
  place: Place,
  { username, credential }: TurnCredentials,
  choice: RelayChoice,
): RTCIceServer | null {
  const urls = place.urls.filter((url) => allows(url, choice ?? "any"));
  const first = (way: Way) => urls.find((url) => wayOfUrl(url) === way);
  const stream = first("tls") ?? first("tcp");
  const chosen = [first("udp"), stream].filter((url) => url !== undefined);
  return chosen.length === 0 ? null : { urls: chosen, username, credential };
}

/** Places asked at the same time. */
class Race {
  readonly #env: MeasuringEnvironment;
  readonly #nearestAlone: boolean;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #giveUp: () => void = () => {};
  readonly #lost: Promise<null>;
  #won = false;

  constructor(env: MeasuringEnvironment, end: number, nearestAlone: boolean) {
    this.#env = env;
    this.#nearestAlone = nearestAlone;
    this.#lost = new Promise((resolve) => {
      this.#giveUp = () => resolve(null);
    });
    this.#endIn(end - env.now());
  }

  /** The first address by this server; null if there is none in time. */
  async run(server: RTCIceServer): Promise<{ rttMs: number; way: Way } | null> {
    let connection: RTCPeerConnection;
    try {
      connection = this.#env.createConnection({
        iceServers: [server],
        iceTransportPolicy: "relay",
      });
    } catch {
      return null; // a URL that this browser refuses
    }
    const began = this.#env.now();
    try {
      const way = await Promise.race([firstRelay(connection, server), this.#lost]);
      if (way === null) return null;
      const took = this.#env.now() - began;
      if (!this.#won && this.#nearestAlone) this.#endIn(took + GRACE_MS);
      this.#won = true;
      return { rttMs: took / TRIPS[way], way };
    } finally {
      connection.onicecandidate = null;
      connection.close(); // gives the allocation back
    }
  }

  /** Wait for nobody any more. */
  over(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#giveUp();
  }

  #endIn(milliseconds: number): void {
    this.#timers.add(setTimeout(this.#giveUp, Math.max(0, milliseconds)));
  }
}

/** By which way the first relayed address came; null when all have failed. */
function firstRelay(connection: RTCPeerConnection, server: RTCIceServer): Promise<Way | null> {
  return new Promise((resolve) => {
    connection.onicecandidate = ({ candidate }) => {
      if (candidate === null) resolve(null);
      else if (isRelay(candidate)) resolve(wayOfCandidate(candidate, server));
    };
    connection.createDataChannel("near");
    connection
      .createOffer()
      .then((offer) => connection.setLocalDescription(offer))
      .catch(() => resolve(null));
  });
}

export function isRelay(candidate: RTCIceCandidate): boolean {
  return candidate.type === "relay" || / typ relay/.test(candidate.candidate);
}

/** As the browser says it; one that does not is taken to prefer what we listed first. */
function wayOfCandidate(candidate: RTCIceCandidate, { urls }: RTCIceServer): Way {
  // Newer than the compiler's library.
  const { relayProtocol } = candidate as { relayProtocol?: string | null };
  if (relayProtocol === "udp" || relayProtocol === "tcp" || relayProtocol === "tls") {
    return relayProtocol;
  }
  return wayOfUrl([urls].flat()[0] ?? "") ?? "udp";
}

const KEY = "mosaic.region";
const REMEMBERED_MS = 3_600_000;
const DEADLINE_MS = 2_000;

type Storage = { getItem(key: string): string | null; setItem(key: string, text: string): void };

/** The nearest place, measured once and remembered by the tab for an hour. */
export class NearestPlace {
  readonly #env: MeasuringEnvironment;
  readonly #storage: Storage | null;
  readonly #choice: RelayChoice;
  readonly #wall: () => number;
  #asked: { places: string; name: Promise<string> } | null = null;
  /** Counts the networks, so that what was found in another one is not kept. */
  #network = 0;

  constructor(
    env: MeasuringEnvironment,
    storage: Storage | null,
    choice: RelayChoice,
    wall: () => number = () => Date.now(),
  ) {
    this.#env = env;
    this.#storage = storage;
    this.#choice = choice;
    this.#wall = wall;
  }

  /** Its name, "" for the server's own; within two seconds. */
  of(credentials: TurnCredentials): Promise<string> {
    const places = placesOf(credentials);
    if (places.length === 1) return Promise.resolve("");
    const key = JSON.stringify([this.#choice, places.map(({ name, urls }) => [name, urls])]);
    if (this.#asked?.places !== key) {
      this.#asked = { places: key, name: this.#find(credentials, places, key) };
    }
    return this.#asked.name;
  }

  /** The network is another one. */
  forget(): void {
    this.#asked = null;
    this.#network += 1;
    try {
      this.#storage?.setItem(KEY, "");
    } catch {
      // A full storage remembers nothing.
    }
  }

  async #find(credentials: TurnCredentials, places: Place[], key: string): Promise<string> {
    const known = this.#recall(key);
    if (known !== null && places.some(({ name }) => name === known)) return known;
    const network = this.#network;
    const found = await measurePlaces(credentials, places, this.#env, {
      choice: this.#choice,
      deadlineMs: DEADLINE_MS,
      nearestAlone: true,
    });
    const name = nearestOf(found);
    if (network !== this.#network) return name;
    // Where nobody answered, the next call may have more luck.
    if (found.some(({ rttMs }) => rttMs !== null)) this.#remember(key, name);
    else this.#asked = null;
    return name;
  }

  #recall(key: string): string | null {
    try {
      const kept = JSON.parse(this.#storage?.getItem(KEY) || "null") as Record<string, unknown> | null;
      if (kept === null || kept["places"] !== key || typeof kept["name"] !== "string") return null;
      const age = this.#wall() - Number(kept["at"]);
      return age >= 0 && age < REMEMBERED_MS ? kept["name"] : null;
    } catch {
      return null;
    }
  }

  #remember(places: string, name: string): void {
    try {
      this.#storage?.setItem(KEY, JSON.stringify({ places, name, at: this.#wall() }));
    } catch {
      // A full storage remembers nothing.
    }
  }
}
