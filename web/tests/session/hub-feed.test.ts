import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HubCalls } from "../../src/protocol";
import { HubFeed } from "../../src/session/hub/feed";
import { HubServer } from "../support/hub-server";

function follow(server: HubServer) {
  const seen: string[] = [];
  const calls = new HubCalls({ origin: "https://hub.test", fetch: server.fetch, token: "s" });
  const feed: HubFeed = new HubFeed({
    calls: () => calls,
    hubId: "412907338",
    changed: () => seen.push(`${feed.link.kind} ${feed.latest?.seq ?? "-"}`),
    random: () => 0,
  });
  feed.start();
  return { feed, seen };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => vi.useRealTimers());
const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

describe("a hub's feed", () => {
  it("knows the state at once, and each new one as it comes", async () => {
    const server = new HubServer();
    const { feed, seen } = follow(server);
    await pass(0);
    expect(seen).toEqual(["live 1"]);
    server.desire({ room: "100000001" });
    await pass(0);
    expect(seen).toEqual(["live 1", "live 2"]);
    expect(feed.latest?.desired.room).toBe("100000001");
    feed.stop();
  });

  it("asks again after each quiet poll, and draws nothing for it", async () => {
    const server = new HubServer();
    const { feed, seen } = follow(server);
    await pass(76_000);
    expect(server.polls).toBe(5); // at once, then every 25 s
    expect(seen).toEqual(["live 1"]);
    feed.stop();
  });

  it("says since when it does not know, tries with longer pauses, and comes back", async () => {
    const server = new HubServer();
    const { feed, seen } = follow(server);
    await pass(0);
    const before = Date.now();
    server.cut();
    await pass(0);
    expect(feed.link).toEqual({ kind: "lost", since: before });
    await pass(20_000);
    expect(feed.link).toEqual({ kind: "lost", since: before });
    server.down = false;
    await pass(16_000);
    expect(seen).toEqual(["live 1", "lost 1", "live 1"]);
    feed.stop();
  });

  it("comes back at once when there is a network again", async () => {
    const server = new HubServer();
    const { feed } = follow(server);
    await pass(0);
    server.cut();
    await pass(60_000);
    server.down = false;
    feed.hint();
    await pass(0);
    expect(feed.link.kind).toBe("live");
    feed.stop();
  });

  it("believes a server that counts anew after a restart", async () => {
    const server = new HubServer();
    server.feed = { ...server.feed, seq: 40 };
    const { feed } = follow(server);
    await pass(0);
    server.feed = { ...server.feed, seq: 2 };
    await pass(25_000);
    expect(feed.latest?.seq).toBe(2);
    feed.stop();
  });

  it.each([
    [401, false],
    [403, true],
    [404, true],
  ])("ends when the token is no good: %i", async (status, removed) => {
    const server = new HubServer();
    server.instead.set("GET /hubs/412907338/feed", { status });
    const { feed } = follow(server);
    await pass(60_000);
    expect(feed.link).toEqual({ kind: "ended", removed });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does not hurry a server that answers at once", async () => {
    const server = new HubServer();
    server.instead.set("GET /hubs/412907338/feed", { status: 200, body: server.feed });
    let asked = 0;
    const calls = new HubCalls({
      origin: "",
      fetch: (...given) => {
        asked += 1;
        return server.fetch(...given);
      },
    });
    const feed = new HubFeed({ calls: () => calls, hubId: "412907338", changed: () => {} });
    feed.start();
    await pass(10_000);
    expect(asked).toBeLessThan(13);
    feed.stop();
  });

  it("is silent once stopped", async () => {
    const server = new HubServer();
    const { feed, seen } = follow(server);
    await pass(0);
    feed.stop();
    server.desire({ muted: true });
    await pass(60_000);
    expect(seen).toEqual(["live 1"]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
