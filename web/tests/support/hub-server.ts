/** The server's side of one hub, in memory: a feed that waits, tokens, rooms. */
import type { HubDesired, HubFeedAnswer } from "../../src/protocol";

type Answer = { status: number; body?: unknown };

export const DESIRED: HubDesired = {
  room: null,
  volume: 60,
  muted: false,
  screen_on: true,
  layout: "auto",
  locale: "en",
};

export function feedOf(change: Partial<HubFeedAnswer> = {}): HubFeedAnswer {
  return {
    seq: 1,
    hub: {
      hub_id: "412907338",
      name: "Lisbon",
      pin: "615823",
      join_url: "https://hub.example.org/join/412907338#pin=615823",
      join_host: "hub.example.org",
    },
    desired: DESIRED,
    calendar: [],
    update: { channel: "stable", window: null },
    found: null,
    network: null,
    ...change,
  };
}

export class HubServer {
  /** What was asked, like "POST /hub-screens". Polls are not in it. */
  readonly asked: { call: string; body: unknown; token: string | null }[] = [];
  polls = 0;
  feed = feedOf();
  /** Answers instead of the usual one, by call. */
  readonly instead = new Map<string, Answer>();
  down = false;
  readonly tickets = new Set(["t1"]);
  #tokens = 0;
  #waiting: { wake: () => void; fail: () => void }[] = [];

  /** Something changed: polls are answered. */
  desire(change: Partial<HubDesired>, more: Partial<HubFeedAnswer> = {}): void {
    const desired = { ...this.feed.desired, ...change };
    this.feed = { ...this.feed, ...more, desired, seq: this.feed.seq + 1 };
    this.wake();
  }

  wake(): void {
    for (const { wake } of this.#waiting.splice(0)) wake();
  }

  /** The network goes. */
  cut(): void {
    this.down = true;
    for (const { fail } of this.#waiting.splice(0)) fail();
  }

  readonly fetch = async (input: unknown, init?: RequestInit): Promise<Response> => {
    const url = new URL(String(input), "https://hub.test");
    const path = url.pathname.replace("/api/v1", "");
    const call = `${init?.method ?? "GET"} ${path}`;
    const token = new Headers(init?.headers).get("Authorization")?.slice(7) ?? null;
    const body: unknown = typeof init?.body === "string" ? JSON.parse(init.body) : null;
    const poll = path.endsWith("/feed");
    if (!poll) this.asked.push({ call, body, token });
    if (this.down) throw new TypeError("failed to fetch");
    const given = this.instead.get(call);
    if (given) return answer(given);
    if (poll) return this.#poll(url.searchParams, init?.signal ?? null);
    switch (call) {
      case "POST /hub-screens": {
        const { ticket } = body as { ticket: string };
        if (!this.tickets.delete(ticket)) return answer({ status: 403 });
        return answer({ status: 200, body: this.#token() });
      }
      case "POST /hub-screens/renew":
        return answer({ status: 200, body: this.#token() });
      case "POST /hubs/412907338/room-token": {
        const { room } = this.feed.desired;
        return answer({ status: 200, body: { room, token: `room-${room}`, role: "host" } });
      }
      case "PUT /hubs/412907338/room":
        this.desire({ room: (body as { room: string | null }).room });
        return answer({ status: 204 });
    }
    return answer({ status: 404 });
  };

  #token() {
    this.#tokens += 1;
    return { token: `screen-${this.#tokens}`, hub_id: "412907338", expires_in_s: 900 };
  }

  async #poll(query: URLSearchParams, signal: AbortSignal | null): Promise<Response> {
    this.polls += 1;
    const after = Number(query.get("after") ?? "-1");
    const wait = Number(query.get("wait"));
    if (this.feed.seq <= after && wait > 0) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(resolve, wait * 1000);
        const fail = () => {
          clearTimeout(timer);
          reject(new TypeError("failed to fetch"));
        };
        signal?.addEventListener("abort", fail);
        this.#waiting.push({
          wake: () => {
            clearTimeout(timer);
            resolve();
          },
          fail,
        });
      });
    }
    return answer({ status: 200, body: this.feed });
  }
}

function answer({ status, body }: Answer): Response {
  if (status === 204) return new Response(null, { status });
  return new Response(JSON.stringify(body ?? { status, title: "no" }), { status });
}
