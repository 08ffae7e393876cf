/** The network check in a browser: REST, DRCP, the relay by each way, and how even it is. */
import { RestClient } from "../../protocol";
import type { NetcheckFacts, Socket } from "../../protocol";
import { drcpUrl } from "../environment";
import type { Environment } from "../environment";
import { chooseServers } from "../call/ice-servers";
import { isRelay, measurePlaces, placesOf } from "../call/regions";
import type { CheckName, CheckResult, NetcheckReport, Outcome, PlaceResult, Way } from "./report";

/** What of the surroundings is needed, and the time. */
export type NetcheckEnvironment = Pick<
  Environment,
  "origin" | "fetch" | "openSocket" | "createConnection"
> & {
  /** Milliseconds that only go forward. */
  now(): number;
  /** Unix milliseconds. */
  wall(): number;
};

const SUBPROTOCOL = "drcp.1";
const SOCKET_MS = 8_000;
const RELAY_MS = 8_000;
const PLACES_MS = 5_000;
const PINGS = 10;
const NOISE_BYTES = 2 * 1024 * 1024;
const SLOW_KBIT = 1100;
const POOR_TRIP_MS = 300;
const POOR_JITTER_MS = 60;

/**
 * Try everything in turn; `told` hears of each. Rejects with nothing: what
 * fails is in the report.
 */
export async function checkNetwork(
  env: NetcheckEnvironment,
  told: (done: readonly CheckResult[]) => void,
): Promise<NetcheckReport> {
  const checks: CheckResult[] = [];
  const add = (name: CheckName, outcome: Outcome, ms: number | null = null, value: number | null = null) => {
    checks.push({ name, outcome, ms, value });
    told([...checks]);
  };
  const timed = async <T>(work: () => Promise<T>): Promise<[T, number]> => {
    const began = env.now();
    return [await work(), env.now() - began];
  };

  const rest = new RestClient({ origin: env.origin, fetch: env.fetch });
  let facts: NetcheckFacts | null = null;
  try {
    const [found, ms] = await timed(() => rest.beginNetcheck());
    facts = found;
    add("rest", "ok", ms);
  } catch {
    add("rest", "blocked");
  }
  const [open, socketMs] = await timed(() => socketOpens(env));
  add("drcp", open ? "ok" : "blocked", open ? socketMs : null);

  for (const way of ["udp", "tcp", "tls"] as const) {
    const name = `turn-${way}` as const;
    const server = facts && firstServer(facts, way);
    if (!server) {
      add(name, "skipped");
      continue;
    }
    // One after the other: each is an allocation, and a visitor has few.
    const [good, ms] = await timed(() => relayAnswers(env, server));
    add(name, good ? "ok" : "blocked", good ? ms : null);
  }

  if (facts === null) {
    add("quality", "skipped");
    add("bandwidth", "skipped");
  } else {
    await quality(env, add);
    await bandwidth(env, rest, add);
  }
  const places = facts === null ? [] : await placesFrom(env, facts);
  return { at: env.wall() / 1000, checks, places };
}

/** Each place with relays, where there are several. */
async function placesFrom(
  env: NetcheckEnvironment,
  facts: NetcheckFacts,
): Promise<PlaceResult[]> {
  const places = placesOf(facts);
  if (places.length === 1) return [];
  const found = await measurePlaces(facts, places, env, {
    choice: null,
    deadlineMs: PLACES_MS,
    nearestAlone: false,
  });
  return found.map((place) => ({ ...place, name: place.name || facts.region }));
}

type Add = (name: CheckName, outcome: Outcome, ms?: number | null, value?: number | null) => void;

/** Small requests on a warm connection: their median, and how much neighbours differ. */
async function quality(env: NetcheckEnvironment, add: Add): Promise<void> {
  const trips: number[] = [];
  try {
    for (let i = 0; i <= PINGS; i++) {
      const began = env.now();
      const answer = await env.fetch(`${env.origin}/livez`, { cache: "no-store" });
      await answer.text();
      if (i > 0) trips.push(env.now() - began); // the first one may open the connection
    }
  } catch {
    add("quality", "blocked");
    return;
  }
  const steps = trips.slice(1).map((trip, i) => Math.abs(trip - (trips[i] ?? trip)));
  const jitter = steps.reduce((sum, step) => sum + step, 0) / Math.max(1, steps.length);
  const median = [...trips].sort((a, b) => a - b)[Math.floor(trips.length / 2)] ?? 0;
  const poor = median > POOR_TRIP_MS || jitter > POOR_JITTER_MS;
  add("quality", poor ? "degraded" : "ok", median, jitter);
}

async function bandwidth(env: NetcheckEnvironment, rest: RestClient, add: Add): Promise<void> {
  try {
    const began = env.now();
    const size = await rest.netcheckNoise(NOISE_BYTES);
    const ms = Math.max(1, env.now() - began);
    const kbit = (size * 8) / ms;
    add("bandwidth", kbit < SLOW_KBIT ? "degraded" : "ok", ms, kbit);
  } catch {
    add("bandwidth", "skipped");
  }
}

/** Whether a WebSocket with our subprotocol opens. */
function socketOpens(env: NetcheckEnvironment): Promise<boolean> {
  return new Promise((resolve) => {
    let socket: Socket;
    const done = (good: boolean) => {
      clearTimeout(timer);
      socket.onopen = socket.onclose = null;
      socket.close();
      resolve(good);
    };
    const timer = setTimeout(() => done(false), SOCKET_MS);
    try {
      socket = env.openSocket(drcpUrl(env.origin), SUBPROTOCOL);
    } catch {
      clearTimeout(timer);
      resolve(false);
      return;
    }
    socket.onopen = () => done(true);
    socket.onclose = () => done(false);
  });
}

/** One URL of this way, so that there is one allocation. */
function firstServer(facts: NetcheckFacts, way: Way): RTCIceServer | null {
  const [server] = chooseServers(facts, way);
  const [url] = server?.urls ?? [];
  return server && url ? { ...server, urls: [url] } : null;
}

/** Whether the relay gives an address: a candidate of kind relay. */
async function relayAnswers(env: NetcheckEnvironment, server: RTCIceServer): Promise<boolean> {
  let connection: RTCPeerConnection;
  try {
    connection = env.createConnection({ iceServers: [server], iceTransportPolicy: "relay" });
  } catch {
    return false;
  }
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), RELAY_MS);
      const done = (good: boolean) => {
        clearTimeout(timer);
        resolve(good);
      };
      connection.onicecandidate = ({ candidate }) => {
        if (candidate === null) done(false);
        else if (isRelay(candidate)) done(true);
      };
      connection.createDataChannel("check");
      connection
        .createOffer()
        .then((offer) => connection.setLocalDescription(offer))
        .catch(() => done(false));
    });
  } finally {
    connection.onicecandidate = null;
    connection.close();
  }
}

/** The browser's own. */
export function netcheckIn(env: Environment): NetcheckEnvironment {
  return { ...env, now: () => performance.now(), wall: () => Date.now() };
}
