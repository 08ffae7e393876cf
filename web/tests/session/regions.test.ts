import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TurnCredentials } from "../../src/protocol";
import { chooseServers } from "../../src/session/call/ice-servers";
import { NearestPlace, measurePlaces, nearestOf, placesOf } from "../../src/session/call/regions";

const URLS = (host: string) => [
  `stun:${host}:53`,
  `turn:${host}:53?transport=udp`,
  `turn:${host}:80?transport=tcp`,
  `turns:${host}:443?transport=tcp`,
];
const CREDENTIALS: TurnCredentials = {
  urls: URLS("home"),
  username: "u",
  credential: "c",
  ttl: 600,
  regions: [
    { name: "Mumbai", urls: URLS("mumbai") },
    { name: "Porto", urls: URLS("porto").slice(1) },
  ],
};
const TRIPS = { udp: 2, tcp: 3, tls: 4 };

/** Round trips in ms by host and way; what is not there does not answer. */
class World {
  readonly asked: string[] = [];
  readonly open = new Set<object>();
  relayProtocol = true;
  constructor(readonly trips: Record<string, Partial<Record<keyof typeof TRIPS, number>>>) {}
  readonly now = () => Date.now();
  readonly createConnection = (configuration: RTCConfiguration) => {
    const urls = configuration.iceServers?.[0]?.urls as string[];
    this.asked.push(...urls);
    expect(configuration.iceTransportPolicy).toBe("relay");
    const made = {
      onicecandidate: null as ((event: unknown) => void) | null,
      createDataChannel: () => {},
      createOffer: async () => ({}),
      setLocalDescription: async () => {
        for (const url of urls) {
          const host = url.split(":")[1]!;
          const way = url.startsWith("turns") ? "tls" : (url.slice(-3) as "udp" | "tcp");
          const trip = this.trips[host]?.[way];
          if (trip === undefined) continue;
          const candidate = {
            type: "relay",
            candidate: "",
            ...(this.relayProtocol ? { relayProtocol: way } : {}),
          };
          setTimeout(() => made.onicecandidate?.({ candidate }), trip * TRIPS[way]);
        }
      },
      close: () => this.open.delete(made),
    };
    this.open.add(made);
    return made as never;
  };
}

function storage() {
  const kept = new Map<string, string>();
  return {
    kept,
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, text: string) => void kept.set(key, text),
  };
}

async function measured(world: World, nearestAlone = false) {
  const work = measurePlaces(CREDENTIALS, placesOf(CREDENTIALS), world, {
    choice: null,
    deadlineMs: 2000,
    nearestAlone,
  });
  const began = Date.now();
  let took = 0;
  void work.then(() => (took = Date.now() - began));
  await vi.advanceTimersByTimeAsync(5000);
  expect(world.open.size).toBe(0);
  return { found: await work, took };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("how far places are", () => {
  it("is the round trip by whichever way answers, and twice measured", async () => {
    const world = new World({
      home: { udp: 80, tls: 90 },
      mumbai: { tls: 130 },
      porto: { udp: 10, tls: 10 },
    });
    const { found } = await measured(world);
    expect(found).toEqual([
      { name: "", rttMs: 80, way: "udp" },
      { name: "Mumbai", rttMs: 130, way: "tls" },
      { name: "Porto", rttMs: 10, way: "udp" },
    ]);
    expect(nearestOf(found)).toBe("Porto");
    // One by UDP and one by TLS, and STUN not at all.
    expect(new Set(world.asked)).toEqual(
      new Set(["home", "mumbai", "porto"].flatMap((host) => [URLS(host)[1]!, URLS(host)[3]!])),
    );
    expect(world.asked).toHaveLength(12);
  });

  it("costs two seconds where one is silent, and says so", async () => {
    const { found, took } = await measured(new World({ home: { udp: 20 }, mumbai: { udp: 30 } }));
    expect(found.map(({ rttMs }) => rttMs)).toEqual([20, 30, null]);
    expect(took).toBeLessThanOrEqual(2000);
  });

  it("waits for nobody who cannot be the nearest any more", async () => {
    const { found, took } = await measured(new World({ home: { udp: 20 }, porto: { udp: 40 } }), true);
    expect(nearestOf(found)).toBe("");
    expect(took).toBeLessThan(400);
  });

  it("finds the nearest where TLS is all there is, though UDP would have been quicker", async () => {
    const world = new World({ home: { udp: 60 }, porto: { tls: 40 } });
    const { found } = await measured(world, true);
    expect(nearestOf(found)).toBe("Porto");
  });

  it("trusts a browser that does not say by which way", async () => {
    const world = new World({ home: { udp: 60 }, porto: { udp: 40 } });
    world.relayProtocol = false;
    expect(nearestOf((await measured(world)).found)).toBe("Porto");
  });

  it("is home where nobody answers, or the browser refuses", async () => {
    expect(nearestOf((await measured(new World({}))).found)).toBe("");
    const world = new World({});
    const refusing = { ...world, now: world.now, createConnection: () => { throw new SyntaxError(); } };
    const work = measurePlaces(CREDENTIALS, placesOf(CREDENTIALS), refusing, {
      choice: null,
      deadlineMs: 2000,
      nearestAlone: true,
    });
    await vi.advanceTimersByTimeAsync(2000);
    expect(nearestOf(await work)).toBe("");
  });
});

describe("the nearest place", () => {
  it("is measured once, and remembered by the tab for an hour", async () => {
    const world = new World({ home: { udp: 60 }, porto: { udp: 5 } });
    const tab = storage();
    const first = new NearestPlace(world, tab, null);
    const both = Promise.all([first.of(CREDENTIALS), first.of(CREDENTIALS)]);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await both).toEqual(["Porto", "Porto"]);
    const asked = world.asked.length;
    expect(await new NearestPlace(world, tab, null).of(CREDENTIALS)).toBe("Porto");
    expect(world.asked.length).toBe(asked);
    vi.setSystemTime(Date.now() + 3_700_000);
    void new NearestPlace(world, tab, null).of(CREDENTIALS);
    expect(world.asked.length).toBeGreaterThan(asked);
  });

  it("is measured again on another network, and with other regions", async () => {
    const world = new World({ home: { udp: 60 }, porto: { udp: 5 } });
    const nearest = new NearestPlace(world, storage(), null);
    void nearest.of(CREDENTIALS);
    await vi.advanceTimersByTimeAsync(2000);
    world.trips["home"] = { udp: 1 };
    nearest.forget();
    const again = nearest.of(CREDENTIALS);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await again).toBe("");
    const asked = world.asked.length;
    void nearest.of({ ...CREDENTIALS, regions: CREDENTIALS.regions!.slice(0, 1) });
    expect(world.asked.length).toBeGreaterThan(asked);
  });

  it("asks nobody where there is one place alone", async () => {
    const world = new World({});
    const nearest = new NearestPlace(world, null, null);
    expect(await nearest.of({ ...CREDENTIALS, regions: [] })).toBe("");
    expect(world.asked).toEqual([]);
  });

  it("keeps to the chosen way, and trusts no storage", async () => {
    const world = new World({ home: { udp: 1, tls: 60 }, porto: { udp: 60, tls: 5 } });
    const tab = storage();
    tab.setItem("mosaic.region", '{"places": 5, "name": ["x"]');
    const found = new NearestPlace(world, tab, "tls").of(CREDENTIALS);
    await vi.advanceTimersByTimeAsync(2000);
    expect(await found).toBe("Porto");
    expect(world.asked.every((url) => url.startsWith("turns:"))).toBe(true);
  });
});

describe("the servers of a call", () => {
  it("are the nearest region's first, and then few of the server's own", () => {
    expect(chooseServers(CREDENTIALS, null, "Porto").map(({ urls }) => urls)).toEqual([
      URLS("porto").slice(1),
      [URLS("home")[0], URLS("home")[1], URLS("home")[3]],
    ]);
    expect(chooseServers(CREDENTIALS, "tls", "Porto").map(({ urls }) => urls)).toEqual([
      [URLS("porto")[3]],
      [URLS("home")[3]],
    ]);
  });

  it("are the server's own where that is the nearest, or the region is gone", () => {
    for (const near of ["", "Atlantis"]) {
      expect(chooseServers(CREDENTIALS, null, near).map(({ urls }) => urls)).toEqual([URLS("home")]);
    }
  });
});
