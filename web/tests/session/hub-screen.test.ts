import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { localAddress, screenAddress } from "../../src/session/hub/address";
import { HubScreen } from "../../src/session/hub/screen";
import { FakeSession, bert } from "../support/fake-session";
import { HubServer } from "../support/hub-server";
import { environment } from "./support/meeting";
import { MiniServer } from "./support/mini-server";

const LOCAL = "http://127.0.0.1:9310/k3y/";

function wall(server = new HubServer(), hash = `#ticket=t1&local=${LOCAL}`) {
  const around = { ...environment(new MiniServer()), fetch: server.fetch };
  const entered: { token: string; session: FakeSession }[] = [];
  const wiped: number[] = [];
  const went: string[] = [];
  const told: string[] = [];
  const surroundings = {
    environment: around,
    enter: (token: string) => {
      const session = new FakeSession();
      entered.push({ token, session });
      return session;
    },
    wipe: async () => void wiped.push(entered.length),
    tell: (local: string, number: number, shown: string) =>
      void told.push(`${local} ${number} ${shown}`),
    goTo: (address: string) => void went.push(address),
    options: {},
    random: () => 0,
  };
  const open = (given = hash) => new HubScreen(screenAddress(given), surroundings);
  return { server, around, entered, wiped, went, told, open, screen: open() };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => vi.useRealTimers());
const pass = (milliseconds = 0) => vi.advanceTimersByTimeAsync(milliseconds);
const calls = (server: HubServer) => server.asked.map(({ call }) => call);

describe("the address of a screen", () => {
  it("holds a ticket, the agent's page, and which screen it is", () => {
    expect(screenAddress(`#ticket=t&local=${LOCAL}&screen=2&screens=2`)).toEqual({
      ticket: "t",
      local: LOCAL,
      screen: 2,
      screens: 2,
    });
    expect(screenAddress("#ticket=t&screen=2")).toMatchObject({ screens: 2 });
    expect(screenAddress("#id=412907338")).toBeNull();
  });
  it.each([
    "https://127.0.0.1:9310/k/",
    "http://127.0.0.1/k/",
    "http://localhost:9310/k/",
    "http://127.0.0.1:9310@evil.example/",
    "http://127.0.0.1.evil.example:80/",
    "http://127.0.0.1:99999/k/",
    "javascript:alert(1)",
    "//127.0.0.1:9310/k/",
    "http://127.0.0.1:9310/k?x=\nhttp://evil.example",
  ])("sends a wall to no other place: %s", (address) => expect(localAddress(address)).toBeNull());
});

describe("a screen", () => {
  it("trades its ticket once and goes on with the token after a reload", async () => {
    const { server, screen, around, open } = wall();
    await pass();
    expect(screen.snapshot()).toMatchObject({ link: { kind: "live" }, room: { kind: "idle" } });
    expect(around.stored.get("mosaic.hub")).toContain("screen-1");
    screen.close();
    const again = open("");
    await pass();
    expect(again.snapshot()).toMatchObject({ link: { kind: "live" }, feed: { seq: 1 } });
    expect(calls(server)).toEqual(["POST /hub-screens", "POST /hub-screens/renew"]);
    again.close();
    // The same address once more: its ticket is used, what it gave is not.
    const third = open();
    await pass();
    expect(third.snapshot().link.kind).toBe("live");
    third.close();
  });

  it("renews its token before it runs out", async () => {
    const { server, screen, around } = wall();
    await pass(600_000);
    expect(calls(server)).toEqual(["POST /hub-screens", "POST /hub-screens/renew"]);
    expect(around.stored.get("mosaic.hub")).toContain("screen-2");
    screen.close();
  });

  it("goes where it shall be, and wipes when it is over", async () => {
    const { server, screen, entered, wiped } = wall();
    await pass();
    expect(wiped).toEqual([0]); // what a killed meeting left
    server.desire({ room: "100000001" });
    await pass();
    expect(screen.snapshot().room).toMatchObject({ kind: "inside", hubId: "100000001" });
    expect(entered.map(({ token }) => token)).toEqual(["room-100000001"]);
    server.desire({ room: null });
    await pass();
    expect(screen.snapshot().room).toEqual({ kind: "idle" });
    expect(entered[0]?.session.asked).toContainEqual(["leave"]);
    expect(wiped.at(-1)).toBe(1);
    screen.close();
  });

  it("is back in its meeting after a reload with what was not saved yet", async () => {
    const server = new HubServer();
    server.desire({ room: "100000001" });
    const { screen, wiped } = wall(server);
    await pass();
    expect(screen.snapshot().room.kind).toBe("inside");
    expect(wiped).toEqual([]);
    screen.close();
  });

  it("wipes between two meetings", async () => {
    const { server, screen, entered, wiped } = wall();
    await pass();
    server.desire({ room: "100000001" });
    await pass();
    server.desire({ room: "100000002" });
    await pass();
    expect(entered.map(({ token }) => token)).toEqual(["room-100000001", "room-100000002"]);
    expect(wiped.at(-1)).toBe(1);
    screen.close();
  });

  it("takes a fresh token when the old one ended and it shall stay", async () => {
    const { server, screen, entered } = wall();
    await pass();
    server.desire({ room: "100000001" });
    await pass();
    entered[0]?.session.show({ save: { kind: "ended", reason: "expired" } });
    await pass();
    expect(entered).toHaveLength(2);
    expect(screen.snapshot().room.kind).toBe("inside");
    screen.close();
  });

  it("stays out when it was put out, and says so", async () => {
    const { server, screen, entered } = wall();
    await pass();
    server.desire({ room: "100000001" });
    await pass();
    entered[0]?.session.show({ save: { kind: "ended", reason: "kicked" } });
    await pass();
    expect(server.feed.desired.room).toBeNull();
    expect(screen.snapshot()).toMatchObject({ room: { kind: "idle" }, ended: "kicked" });
    expect(entered).toHaveLength(1);
    screen.close();
  });

  it("follows to another room when the token of the first ended with the move", async () => {
    const { server, screen, entered } = wall();
    await pass();
    server.desire({ room: "100000001" });
    await pass();
    // The socket is quicker than the poll.
    server.feed = {
      ...server.feed,
      seq: 9,
      desired: { ...server.feed.desired, room: "100000002" },
    };
    entered[0]?.session.show({ save: { kind: "ended", reason: "kicked" } });
    await pass();
    expect(server.feed.desired.room).toBe("100000002");
    expect(screen.snapshot().room).toMatchObject({ kind: "inside", hubId: "100000002" });
    screen.close();
  });

  it("keeps trying a room whose token it cannot get", async () => {
    const { server, screen } = wall();
    await pass();
    server.instead.set("POST /hubs/412907338/room-token", { status: 503 });
    server.desire({ room: "100000001" });
    await pass();
    expect(screen.snapshot().room).toMatchObject({ kind: "outside", why: "network" });
    server.instead.clear();
    await pass(5_000);
    expect(screen.snapshot().room.kind).toBe("inside");
    screen.close();
  });

  it("goes to the agent's page when the server is gone for fifteen seconds", async () => {
    const { server, screen, went } = wall();
    await pass();
    server.cut();
    await pass(14_000);
    expect(went).toEqual([]);
    expect(screen.snapshot().link.kind).toBe("lost");
    await pass(3_000);
    expect(went).toEqual([LOCAL]);
  });

  it("stays while people still hear each other without the server", async () => {
    const { server, screen, entered, went } = wall();
    await pass();
    server.desire({ room: "100000001" });
    await pass();
    const call = { kind: "connected", path: "direct", protocol: null, port: null, rttMs: 1 } as const;
    const media = { personId: bert.id, camera: null, screen: null, call };
    entered[0]?.session.show({ remote: [media] });
    server.cut();
    await pass(60_000);
    expect(went).toEqual([]);
    entered[0]?.session.show({ remote: [] });
    await pass(1_000);
    expect(went).toEqual([LOCAL]);
    screen.close();
  });

  it("keeps what is not saved when the token ran out, and goes for a new ticket", async () => {
    const { server, entered, wiped, went } = wall();
    await pass();
    server.desire({ room: "100000001" });
    await pass();
    const before = wiped.length;
    server.instead.set("GET /hubs/412907338/feed", { status: 401 });
    server.wake();
    await pass(30_000);
    expect(entered[0]?.session.asked).toContainEqual(["leave"]);
    expect(wiped).toHaveLength(before);
    expect(went).toEqual([LOCAL]);
  });

  it("says that it has no ticket, and where there is no agent's page it stays", async () => {
    const { screen, went } = wall(new HubServer(), "#ticket=used");
    await pass(60_000);
    expect(screen.snapshot().link).toEqual({ kind: "no-ticket" });
    expect(went).toEqual([]);
    screen.close();
  });

  it("joins and leaves by touch, and waits a moment for the last stroke", async () => {
    const { server, screen, entered } = wall();
    await pass();
    await screen.join("100000001", "4711");
    await pass();
    expect(server.asked.find(({ call }) => call.startsWith("PUT"))?.body).toEqual({
      room: "100000001",
      pin: "4711",
    });
    const session = entered[0]?.session;
    session?.show({ save: { kind: "saving", unsaved: 1 } });
    const left = screen.leaveRoom();
    await pass(500);
    expect(server.feed.desired.room).toBe("100000001");
    session?.show({ save: { kind: "live", unsaved: 0 } });
    await left;
    expect(server.feed.desired.room).toBeNull();
    screen.close();
  });

  it("tells the agent what it shows, at each change and from time to time", async () => {
    const { server, screen, told } = wall();
    await pass(1_000);
    server.desire({ room: "100000001" });
    await pass(1_000);
    screen.draws(true);
    await pass(1_000);
    server.desire({ screen_on: false });
    await pass(1_000);
    const words = ["idle", "meeting", "presenting", "dark"];
    expect(told).toEqual(words.map((shown) => `${LOCAL} 1 ${shown}`));
    await pass(41_000);
    expect(told).toHaveLength(6);
    screen.close();
  });

  it("leaves no timer behind", async () => {
    const { screen } = wall();
    await pass();
    screen.close();
    await pass();
    expect(vi.getTimerCount()).toBe(0);
  });
});
