import { describe, expect, it } from "vitest";
import { checkNetwork } from "../../src/session/netcheck/check";
import type { NetcheckEnvironment } from "../../src/session/netcheck/check";
import { nearestAt, overall, packReport, unpackReport, wayOf } from "../../src/session/netcheck/report";
import type { CheckResult } from "../../src/session/netcheck/report";

interface World {
  rest: boolean;
  socket: boolean;
  /** Ways of the relay that answer. */
  relays: string[];
}

/** A network where only some things get through; every relay asked for is in `asked`. */
function environment({ rest, socket, relays }: World) {
  const asked: string[] = [];
  const closed: string[] = [];
  let clock = 0;
  const facts = {
    urls: [
      "stun:h:3478",
      "turn:h:3478?transport=udp",
      "turn:h:53?transport=udp",
      "turn:h:3478?transport=tcp",
      "turns:h:443?transport=tcp",
    ],
    username: "u",
    credential: "c",
    ttl: 60,
  };
  const env: NetcheckEnvironment = {
    origin: "https://h",
    now: () => (clock += 10),
    wall: () => 1_700_000_000_000,
    fetch: async (input) => {
      if (!rest) throw new TypeError("no network");
      const url = String(input);
      if (url.includes("/noise")) return new Response(new Uint8Array(10_000));
      return new Response(url.endsWith("/livez") ? "ok" : JSON.stringify(facts));
    },
    openSocket: () => {
      const made = {
        onopen: null as (() => void) | null,
        onclose: null as (() => void) | null,
        close: () => {},
      };
      queueMicrotask(() => (socket ? made.onopen?.() : made.onclose?.()));
      return made as never;
    },
    createConnection: (configuration) => {
      const [url] = configuration.iceServers?.[0]?.urls as string[];
      asked.push(url!);
      const made = {
        onicecandidate: null as ((event: unknown) => void) | null,
        createDataChannel: () => {},
        createOffer: async () => ({}),
        setLocalDescription: async () => {
          const way = url!.startsWith("turns") ? "tls" : url!.slice(-3);
          const good = relays.includes(way);
          const candidate = good ? { type: "relay", candidate: "" } : null;
          queueMicrotask(() => made.onicecandidate?.({ candidate }));
        },
        close: () => closed.push(url!),
      };
      return made as never;
    },
  };
  return { env, asked, closed };
}

const outcomesOf = (checks: readonly CheckResult[]) =>
  Object.fromEntries(checks.map((check) => [check.name, check.outcome]));

describe("the network check", () => {
  it("tries each way of the relay once, one after the other, and gives them back", async () => {
    const { env, asked, closed } = environment({ rest: true, socket: true, relays: ["udp", "tcp", "tls"] });
    const seen: number[] = [];
    const report = await checkNetwork(env, (done) => seen.push(done.length));
    expect(asked).toEqual([
      "turn:h:3478?transport=udp",
      "turn:h:3478?transport=tcp",
      "turns:h:443?transport=tcp",
    ]);
    expect(closed).toEqual(asked);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(overall(report.checks)).toBe("ok");
  });

  it("calls TLS alone degraded and no way at all blocked", async () => {
    for (const [relays, outcome, way] of [
      [["tls"], "degraded", "tls"],
      [["tcp"], "degraded", "tcp"],
      [[], "blocked", null],
    ] as const) {
      const { env } = environment({ rest: true, socket: true, relays: [...relays] });
      const { checks } = await checkNetwork(env, () => {});
      expect([overall(checks), wayOf(checks)]).toEqual([outcome, way]);
    }
  });

  it("skips what it cannot know without the server, and rejects with nothing", async () => {
    const { env, asked } = environment({ rest: false, socket: false, relays: [] });
    const { checks } = await checkNetwork(env, () => {});
    expect(asked).toEqual([]);
    expect(outcomesOf(checks)).toEqual({
      rest: "blocked",
      drcp: "blocked",
      "turn-udp": "skipped",
      "turn-tcp": "skipped",
      "turn-tls": "skipped",
      quality: "skipped",
      bandwidth: "skipped",
    });
    expect(overall(checks)).toBe("blocked");
  });
});

describe("places with relays", () => {
  it("are each tried, and named, where there are several", async () => {
    const { env, asked, closed } = environment({ rest: true, socket: true, relays: ["udp"] });
    const fetch = env.fetch;
    const more = {
      region: "Lisbon",
      regions: [{ name: "Far", urls: ["turns:far:443?transport=tcp"] }],
    };
    const wide: NetcheckEnvironment["fetch"] = async (input, init) => {
      const answer = await fetch(input, init);
      if (!String(input).endsWith("/netcheck")) return answer;
      return new Response(JSON.stringify({ ...(await answer.json()), ...more }));
    };
    const { places } = await checkNetwork({ ...env, fetch: wide }, () => {});
    expect(places).toEqual([
      { name: "Lisbon", rttMs: 5, way: "udp" },
      { name: "Far", rttMs: null, way: null },
    ]);
    expect(asked).toContain("turns:far:443?transport=tcp");
    expect(closed).toHaveLength(asked.length);
  });
});

describe("a result in a link", () => {
  it("comes back as it was", async () => {
    const { env } = environment({ rest: true, socket: true, relays: ["udp"] });
    const report = await checkNetwork(env, () => {});
    const text = packReport(report);
    expect(unpackReport(text)).toEqual({
      at: report.at,
      places: [],
      checks: report.checks.map(({ ms, value, ...rest }) => ({
        ...rest,
        ms: ms === null ? null : Math.round(ms),
        value: value === null ? null : Math.round(value),
      })),
    });
    expect(text).toMatch(/^[\d.-]+$/);
  });

  it("holds places by their number: nobody makes our page say their words", () => {
    const places = [
      { name: "Lisbon", rttMs: 80.4, way: "udp" as const },
      { name: "Mumbai", rttMs: null, way: null },
      { name: "Porto", rttMs: 7, way: "tls" as const },
    ];
    const text = packReport({ at: 5, checks: [], places });
    expect(text).toMatch(/^[\d.-]+$/);
    expect(unpackReport(text)?.places).toEqual([
      { name: null, rttMs: 80, way: "udp" },
      { name: null, rttMs: null, way: null },
      { name: null, rttMs: 7, way: "tls" },
    ]);
    expect(nearestAt(places)).toBe(2);
    expect(nearestAt(places.slice(1, 2))).toBe(-1);
  });

  it("is refused when it is anything else", () => {
    for (const wrong of [
      "",
      "2.1.0.0.1.1",
      "1.5",
      "1.5.0.0.1",
      "1.5.99.0.1.1",
      "1.5.0.9.1.1",
      "1.5.0.0.1.1.0.0.1.1",
      "1.5.0.0.1.99999999999",
      "1.-5.0.0.1.1",
      "1.5.101.0.1.1",
      "1.5.100.0.1.3",
      "1.5.100.0.1.0.100.0.1.0",
      "<script>",
      "1.".repeat(900),
    ]) {
      expect(unpackReport(wrong)).toBeNull();
    }
  });
});
