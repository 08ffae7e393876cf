import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  DrcpClient,
  RpcError,
  type ConnectionState,
  type Message,
} from "../../src/protocol";
import { FakeSocket } from "./fake-socket";

const sockets: FakeSocket[] = [];
const states: ConnectionState[] = [];
const messages: Message[] = [];
const rtts: number[] = [];
let client: DrcpClient;

const last = () => {
  const socket = sockets.at(-1);
  if (socket === undefined) throw new Error("no socket was opened");
  return socket;
};
const event = (seq: number): Message => ({
  channel: 0,
  type: "event",
  json: { type: "reaction", seq, at: 0, from: "p2", data: { emoji: "👍" } },
});

beforeEach(() => {
  vi.useFakeTimers();
  sockets.length = states.length = messages.length = rtts.length = 0;
  client = new DrcpClient({
    url: "wss://hub.test/drcp",
    token: "t0",
    random: () => 0.999,
    openSocket: (url, subprotocol) => {
      expect(subprotocol).toBe("drcp.1");
      const socket = new FakeSocket(url);
      sockets.push(socket);
      return socket;
    },
    events: {
      state: (state) => states.push(state),
      message: (message) => messages.push(message),
      rtt: (milliseconds) => rtts.push(milliseconds),
    },
  });
  client.start();
});
afterEach(() => {
  client.leave();
  vi.useRealTimers();
});

describe("hello and welcome", () => {
  it("says hello first, with the token and no resume", () => {
    last().open();
    expect(last().hello).toMatchObject({ v: [1], token: "t0", caps: [] });
    expect(last().hello).not.toHaveProperty("resume");
    expect(client.state.kind).toBe("connecting");
  });

  it("is live with the welcome, and not sooner", () => {
    last().open();
    expect(client.send({ channel: 0, type: "ping" })).toBe(false);
    last().welcome();
    expect(client.state.kind).toBe("live");
  });

  it("tries again if no welcome comes within ten seconds", () => {
    last().open();
    vi.advanceTimersByTime(10_000);
    expect(last().closedWith).toBe(1000);
    expect(client.state.kind).toBe("offline");
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(2);
  });
});

describe("the return", () => {
  it("doubles its delays from 0.5 s to 30 s", () => {
    const delays: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      last().end(1006);
      const before = sockets.length;
      const start = Date.now();
      while (sockets.length === before) vi.advanceTimersByTime(1);
      delays.push(Date.now() - start);
    }
    expect(delays[0]).toBe(500);
    expect(delays[1]).toBeGreaterThan(900);
    expect(delays[1]).toBeLessThanOrEqual(1000);
    expect(delays.at(-1)).toBeGreaterThan(29_000);
    expect(delays.at(-1)).toBeLessThanOrEqual(30_000);
  });

  it("starts from the shortest delay after a welcome", () => {
    for (let round = 0; round < 6; round += 1) {
      last().end(1006);
      vi.advanceTimersByTime(30_000);
    }
    last().welcome();
    last().end(1006);
    const state = client.state;
    if (state.kind !== "offline") throw new Error(state.kind);
    expect(state.retryAt - Date.now()).toBe(500);
  });

  it("tries at once on a hint from outside", () => {
    for (let round = 0; round < 6; round += 1) {
      last().end(1006);
      vi.advanceTimersByTime(30_000);
    }
    last().end(1006);
    const before = sockets.length;
    client.hint();
    expect(sockets).toHaveLength(before + 1);
  });

  it.each([
    [4401, "unauthenticated"],
    [4403, "forbidden"],
    [4404, "no-room"],
    [4409, "replaced"],
    [4423, "unavailable"],
  ])("ends on %i", (code, cause) => {
    last().welcome();
    last().end(code, "words");
    expect(client.state).toEqual({
      kind: "ended",
      cause,
      reason: "words",
      wasLive: true,
    });
    vi.advanceTimersByTime(120_000);
    expect(sockets).toHaveLength(1);
  });

  it.each([1006, 1012, 4408, 4500])("comes back soon after %i", (code) => {
    last().welcome();
    last().end(code);
    vi.advanceTimersByTime(500);
    expect(sockets).toHaveLength(2);
  });

  it.each([4400, 4413, 4429])("stays away for a while after %i", (code) => {
    last().welcome();
    last().end(code);
    vi.advanceTimersByTime(4_999);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(2_600);
    expect(sockets).toHaveLength(2);
  });

  it("waits as long as a draining server asks", () => {
    last().welcome();
    last().deliver({
      channel: 0,
      type: "event",
      json: {
        type: "draining",
        seq: 11,
        at: 0,
        from: null,
        data: { retry_after_s: 8 },
      },
    });
    last().end(1012);
    vi.advanceTimersByTime(7_999);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(4_001);
    expect(sockets).toHaveLength(2);
  });

  it("says where it stopped, and counts events on", () => {
    last().welcome({ sid: "s1", seq: 10 });
    last().deliver(event(11), event(12));
    last().end(1006);
    vi.advanceTimersByTime(500);
    last().open();
    expect(last().hello?.resume).toEqual({ sid: "s1", last_seq: 12 });
  });

  it("does not skip replayed events when cut off among them", () => {
    last().welcome({ seq: 10 });
    last().end(1006);
    vi.advanceTimersByTime(500);
    last().welcome({ sid: "s2", seq: 20, resumed: true });
    last().deliver(event(11));
    last().end(1006);
    vi.advanceTimersByTime(500);
    last().open();
    expect(last().hello?.resume).toEqual({ sid: "s2", last_seq: 11 });
  });

  it("uses a refreshed token in the next hello", () => {
    last().welcome();
    client.refresh("t1");
    expect(last().sent.at(-1)).toMatchObject({ type: "refresh" });
    last().end(1006);
    vi.advanceTimersByTime(500);
    last().open();
    expect(last().hello?.token).toBe("t1");
  });

  it("does not come back after leaving", () => {
    last().welcome();
    client.leave();
    expect(last().closedWith).toBe(1000);
    vi.advanceTimersByTime(120_000);
    expect(sockets).toHaveLength(1);
    expect(states.at(-1)).toMatchObject({ kind: "ended", cause: "left" });
  });
});

describe("the heartbeat", () => {
  it("measures the round trip", () => {
    last().welcome();
    vi.advanceTimersByTime(24);
    last().deliver({ channel: 0, type: "pong" });
    expect(rtts).toEqual([24]);
  });

  it("answers pings on their channel", () => {
    last().welcome();
    last().deliver({ channel: 3, type: "ping" });
    expect(last().sent.at(-1)).toEqual({ channel: 3, type: "pong" });
  });

  it("gives up a connection that stays silent", () => {
    last().welcome();
    last().deliver({ channel: 0, type: "pong" });
    vi.advanceTimersByTime(19_999);
    expect(client.state.kind).toBe("live");
    vi.advanceTimersByTime(1);
    expect(client.state.kind).toBe("offline");
    expect(last().closedWith).toBe(1000);
  });

  it("takes any message for life", () => {
    last().welcome();
    for (let round = 0; round < 10; round += 1) {
      vi.advanceTimersByTime(9_000);
      last().deliver(event(11 + round));
    }
    expect(client.state.kind).toBe("live");
  });

  it("has less patience after a hint", () => {
    last().welcome();
    last().deliver({ channel: 0, type: "pong" });
    client.hint();
    vi.advanceTimersByTime(3_000);
    expect(client.state.kind).toBe("offline");
  });
});

describe("what arrives", () => {
  it("drops a connection that speaks nonsense", () => {
    last().welcome();
    last().deliverBytes(Uint8Array.from([0, 11]));
    expect(client.state.kind).toBe("offline");
    expect(messages).toEqual([]);
  });

  it("hears nothing of a socket that was given up", () => {
    const old = last();
    old.welcome();
    client.reconnect();
    old.deliver(event(11));
    old.end(4403);
    expect(messages).toEqual([]);
    expect(client.state.kind).toBe("connecting");
  });

  it("settles calls by id, and fails them with the connection", async () => {
    last().welcome();
    const first = client.rpc("a", {});
    const second = client.rpc("b", {});
    const third = client.rpc("c", {});
    const json = { id: 2, error: { code: 4403, message: "no" } };
    last().deliver({ channel: 0, type: "rpcResult", json });
    last().deliver({ channel: 0, type: "rpcResult", json: { id: 1, result: 7 } });
    last().end(1006);
    await expect(first).resolves.toBe(7);
    await expect(second).rejects.toMatchObject({ code: 4403 });
    await expect(third).rejects.toBeInstanceOf(RpcError);
  });
});
