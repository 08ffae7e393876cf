import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { enterRoom } from "../../src/session";
import type { SessionOptions } from "../../src/session/api";
import type { MeetingSession } from "../../src/session/meeting";
import { stream } from "./support/fake-media";
import { FakeNetwork } from "./support/fake-rtc";
import { environment, pass } from "./support/meeting";
import { MiniServer } from "./support/mini-server";

let server: MiniServer;
let network: FakeNetwork;
const sessions: MeetingSession[] = [];
const URLS = [
  "stun:hub.test:3478",
  "turn:hub.test:3478?transport=udp",
  "turn:hub.test:3478?transport=tcp",
  "turns:hub.test:443?transport=tcp",
];

async function joined(token: string, options: SessionOptions = {}) {
  const around = environment(server);
  around.createConnection = network.create;
  around.answers["POST /turn-credentials"] = {
    status: 200,
    body: { urls: URLS, username: "u", credential: "c", ttl: 3600 },
  };
  const session = enterRoom(token, options, around) as MeetingSession;
  sessions.push(session);
  await pass(50);
  return Object.assign(session, { around });
}
const remote = (session: MeetingSession, name: string) =>
  session.snapshot().remote.find(({ personId }) => personId === `p-${name}`);

beforeEach(() => {
  vi.useFakeTimers();
  server = new MiniServer();
  network = new FakeNetwork();
  for (const name of ["ada", "bob", "cat"]) server.account(name);
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.leave();
  vi.useRealTimers();
});

describe("a call", () => {
  it("makes no connection while nobody sends", async () => {
    const ada = await joined("ada");
    await joined("bob");
    await pass(5_000);
    expect(network.connections).toHaveLength(0);
    expect(remote(ada, "bob")).toMatchObject({
      camera: null,
      screen: null,
      call: { kind: "idle" },
    });
  });

  it("shows each the other's camera", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    await pass(500);
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
    expect(remote(ada, "bob")?.camera).toBeNull();
    bob.setCamera(stream("audio"));
    await pass(500);
    expect(remote(ada, "bob")?.camera?.getTracks()).toHaveLength(1);
    expect(network.connections).toHaveLength(2);
  });

  it("survives glare: both offer in the same instant", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    bob.setCamera(stream("audio", "video"));
    await pass(1_000);
    // The polite side's first connection gave way to a fresh one.
    expect(network.open).toHaveLength(2);
    for (const connection of network.open) {
      expect(connection.signalingState).toBe("stable");
      expect(connection.connectionState).toBe("connected");
    }
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
    expect(remote(ada, "bob")?.camera?.getTracks()).toHaveLength(2);
  });

  it("survives glare in the middle of a call", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    bob.setCamera(stream("audio", "video"));
    await pass(1_000);
    ada.shareScreen(stream("video"));
    bob.shareScreen(stream("video"));
    await pass(1_000);
    expect(remote(bob, "ada")?.screen?.getTracks()).toHaveLength(1);
    expect(remote(ada, "bob")?.screen?.getTracks()).toHaveLength(1);
    expect(network.open).toHaveLength(2);
  });

  it("connects everybody with everybody", async () => {
    const all = [await joined("ada"), await joined("bob"), await joined("cat")];
    for (const session of all) session.setCamera(stream("audio", "video"));
    await pass(1_000);
    for (const session of all) {
      for (const media of session.snapshot().remote) {
        expect(media.call.kind).toBe("connected");
        expect(media.camera?.getTracks()).toHaveLength(2);
      }
    }
    expect(network.open).toHaveLength(6);
  });

  it("reaches someone who joins later", async () => {
    const ada = await joined("ada");
    ada.setCamera(stream("audio", "video"));
    await pass(500);
    const bob = await joined("bob");
    await pass(500);
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
    expect(network.connections).toHaveLength(2);
  });

  it("tells the path and the round trip", async () => {
    const ada = await joined("ada");
    await joined("bob");
    ada.setCamera(stream("audio"));
    await pass(2_500);
    expect(remote(ada, "bob")?.call).toEqual({
      kind: "connected",
      path: "direct",
      protocol: null,
      port: null,
      rttMs: 24,
    });
  });
});

describe("streams", () => {
  it("are replaced without renegotiation", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    await pass(1_000);
    const signals = server.seen.length;
    const other = stream("audio", "video");
    ada.setCamera(other);
    await pass(1_000);
    expect(
      server.seen.slice(signals).filter(({ message }) => message.type === "signal"),
    ).toEqual([]);
    expect(network.connections[0]?.sending).toEqual(
      other.getTracks().map(({ id }) => id),
    );
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
  });

  it("keep camera and screen apart, and end apart", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    const screen = stream("video");
    ada.shareScreen(screen);
    await pass(1_000);
    expect(remote(bob, "ada")?.screen?.getTracks()).toHaveLength(1);
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
    ada.stopScreen();
    await pass(1_000);
    expect(remote(bob, "ada")?.screen).toBeNull();
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
    expect(screen.getTracks()[0]?.readyState).toBe("ended");
    ada.shareScreen(stream("video"));
    await pass(1_000);
    expect(remote(bob, "ada")?.screen?.getTracks()).toHaveLength(1);
  });

  it("stop presenting when the browser's own button ends the track", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    const screen = stream("video");
    ada.shareScreen(screen);
    await pass(500);
    expect(bob.snapshot().people[1]?.screen).toBe(true);
    screen.tracks[0]?.end();
    await pass(500);
    expect(ada.snapshot().local.screen).toBeNull();
    expect(bob.snapshot().people[1]?.screen).toBe(false);
  });

  it("are muted by the track and told by the state", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    const camera = stream("audio", "video");
    ada.setMicOn(false);
    ada.setCamera(camera);
    await pass(100);
    expect(camera.getAudioTracks()[0]?.enabled).toBe(false);
    expect(ada.snapshot().local).toMatchObject({ micOn: false, camOn: true });
    expect(bob.snapshot().people[1]).toMatchObject({ mic: false, cam: true });
    ada.setMicOn(true);
    await pass(100);
    expect(camera.getAudioTracks()[0]?.enabled).toBe(true);
    expect(bob.snapshot().people[1]?.mic).toBe(true);
  });

  it("never call a microphone on that is not there", async () => {
    const ada = await joined("ada");
    ada.setMicOn(true);
    expect(ada.snapshot().local.micOn).toBe(false);
    const camera = stream("audio");
    ada.setCamera(camera);
    expect(ada.snapshot().local).toMatchObject({ micOn: true, camOn: false });
    camera.tracks[0]?.end();
    expect(ada.snapshot().local.micOn).toBe(false);
  });

  it("release the devices when the meeting ends", async () => {
    const ada = await joined("ada");
    const camera = stream("audio", "video");
    ada.setCamera(camera);
    ada.leave();
    expect(camera.getTracks().map(({ readyState }) => readyState)).toEqual([
      "ended",
      "ended",
    ]);
  });
});

describe("the way through the network", () => {
  it("is direct first, then a restart, then a relay alone", async () => {
    network.direct = false;
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    await pass(4_000);
    expect(network.open.every(({ relayOnly }) => !relayOnly)).toBe(true);
    expect(remote(ada, "bob")?.call.kind).toBe("connecting");
    await pass(1_500);
    expect(network.open.some(({ restarts }) => restarts > 0)).toBe(true);
    await pass(7_000);
    expect(network.open).toHaveLength(2);
    expect(network.open.every(({ relayOnly }) => relayOnly)).toBe(true);
    expect(remote(ada, "bob")?.call).toMatchObject({
      kind: "connected",
      path: "relay",
      protocol: "tls",
    });
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
  });

  it("says so when no way works, and goes on trying", async () => {
    network.direct = network.relay = false;
    const ada = await joined("ada");
    await joined("bob");
    ada.setCamera(stream("audio"));
    await pass(30_000);
    expect(remote(ada, "bob")?.call.kind).toBe("failed");
    network.relay = true;
    await pass(60_000);
    expect(remote(ada, "bob")?.call.kind).toBe("connected");
  });

  it.each([
    ["any", URLS.slice(1)],
    ["udp", [URLS[1]]],
    ["tcp", [URLS[2]]],
    ["tls", [URLS[3]]],
  ] as const)("is a relay over %s from the start if asked for", async (relay, urls) => {
    network.direct = false;
    const ada = await joined("ada", { relay });
    await joined("bob", { relay });
    ada.setCamera(stream("audio"));
    await pass(1_000);
    const [connection] = network.connections;
    expect(connection?.configuration).toEqual({
      iceServers: [{ urls, username: "u", credential: "c" }],
      iceTransportPolicy: "relay",
    });
    expect(remote(ada, "bob")?.call).toMatchObject({
      kind: "connected",
      path: "relay",
    });
  });

  it("heals after a break", async () => {
    const ada = await joined("ada");
    await joined("bob");
    ada.setCamera(stream("audio"));
    await pass(1_000);
    for (const connection of network.open) connection.setState("disconnected");
    expect(remote(ada, "bob")?.call).toMatchObject({ kind: "connecting", path: null });
    await pass(8_000);
    expect(remote(ada, "bob")?.call.kind).toBe("connected");
    expect(network.connections).toHaveLength(2);
  });

  it("is looked for again when the machine changes its network", async () => {
    const ada = await joined("ada");
    await joined("bob");
    ada.setCamera(stream("audio"));
    await pass(1_000);
    ada.around.signs?.network();
    await pass(1_000);
    expect(network.connections.map(({ restarts }) => restarts)).toContain(1);
    expect(network.connections).toHaveLength(2);
    expect(remote(ada, "bob")?.call.kind).toBe("connected");
  });

  it("does not wait for credentials that do not come", async () => {
    const ada = await joined("ada");
    const around = {
      ...environment(server),
      createConnection: network.create,
      fetch: () => new Promise<Response>(() => undefined),
    };
    const bob = enterRoom("bob", {}, around) as MeetingSession;
    sessions.push(bob);
    await pass(50);
    bob.setCamera(stream("audio"));
    await pass(3_500);
    expect(remote(ada, "bob")?.call.kind).toBe("connected");
  });

  it("has fresh credentials before the old ones end", async () => {
    const ada = await joined("ada");
    await joined("bob");
    await pass(3600 * 1000 * 0.76);
    const fetched = ada.around.requests.filter(
      ({ path }) => path === "/turn-credentials",
    );
    // Once for the call with Bob, and once again.
    expect(fetched).toHaveLength(2);
  });
});

describe("coming and going", () => {
  it("calls again when the other page was reloaded", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    bob.setCamera(stream("audio", "video"));
    await pass(1_000);
    sessions.splice(sessions.indexOf(bob), 1);
    const again = await joined("bob"); // the same participant, a newer page
    again.setCamera(stream("audio", "video"));
    await pass(2_000);
    expect(bob.snapshot().save).toEqual({ kind: "ended", reason: "replaced" });
    expect(remote(again, "ada")?.camera?.getTracks()).toHaveLength(2);
    expect(remote(ada, "bob")?.camera?.getTracks()).toHaveLength(2);
    expect(remote(ada, "bob")?.call.kind).toBe("connected");
  });

  it("keeps a call while signalling breaks and comes back", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    await pass(1_000);
    server.cut();
    await pass(3_000);
    expect(remote(ada, "bob")?.call.kind).toBe("connected");
    expect(remote(bob, "ada")?.camera?.getTracks()).toHaveLength(2);
    expect(network.connections).toHaveLength(2);
  });

  it("repairs a negotiation that signalling lost", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    await pass(1_000);
    server.cut();
    ada.shareScreen(stream("video"));
    await pass(5_000);
    expect(remote(bob, "ada")?.screen?.getTracks()).toHaveLength(1);
    expect(remote(ada, "bob")?.call.kind).toBe("connected");
  });

  it("removes those who left, and closes their connection", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setCamera(stream("audio", "video"));
    await pass(1_000);
    bob.leave();
    await pass(50);
    expect(ada.snapshot().remote).toEqual([]);
    await pass(6_000);
    expect(network.open).toEqual([]);
  });

  it("ignores signals that are none", async () => {
    const ada = await joined("ada");
    await joined("bob");
    for (const data of [null, 7, {}, { v: 2 }, { v: 1, instance: "x", to: null, generation: 0, body: { kind: "description", description: { type: "offer" }, streams: {} } }]) {
      for (const connection of server.connections) {
        connection.deliver({
          channel: 0,
          type: "signal",
          json: { from: "p-bob", data },
        });
      }
    }
    await pass(100);
    expect(network.connections).toHaveLength(0);
    expect(remote(ada, "bob")?.call.kind).toBe("idle");
  });
});
