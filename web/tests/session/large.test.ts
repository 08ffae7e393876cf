import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MeetingSession } from "../../src/session/meeting";
import { enter, environment, pass, text, type } from "./support/meeting";
import { MiniServer } from "./support/mini-server";

let server: MiniServer;
const sessions: MeetingSession[] = [];
const LONG = "x".repeat(1_000);

async function joined(token: string, around = environment(server)) {
  const session = await enter(token, around);
  sessions.push(session);
  return session;
}

beforeEach(() => {
  vi.useFakeTimers();
  server = new MiniServer();
  server.account("ada");
  server.account("bob");
  server.document("notes/minutes").doc.getText("t").insert(0, LONG);
  server.referAbove = 500;
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.leave();
  vi.useRealTimers();
});

describe("a large document comes by HTTP", () => {
  it("is fetched, and what came meanwhile is added", async () => {
    const around = environment(server);
    let arrive = () => {};
    around.slow = new Promise((resolve) => {
      arrive = resolve;
    });
    const ada = await joined("ada");
    const hers = ada.open("notes/minutes");
    await pass(50);
    const bob = await joined("bob", around);
    const his = bob.open("notes/minutes");
    await pass(50);
    type(hers, " and more");
    await pass(50);
    expect(bob.snapshot().save.kind).toBe("connecting");
    expect(server.seen.filter((seen) => seen.message.type === "sync")).toHaveLength(1);
    arrive();
    await pass(50);
    expect(text(his)).toBe(`${LONG} and more`);
    expect(bob.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
  });

  it("comes on the channel when HTTP does not have it", async () => {
    const around = environment(server);
    around.answers["GET /rooms/412907338/states/0"] = { status: 404 };
    const ada = await joined("ada", around);
    const notes = ada.open("notes/minutes");
    await pass(50);
    expect(text(notes)).toBe(LONG);
    type(notes, "!");
    await pass(50);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    const committed = server.document("notes/minutes").doc.getText("t");
    expect(committed.toString()).toBe(`${LONG}!`);
  });

  it("is asked for again after a cut in the middle", async () => {
    const around = environment(server);
    around.slow = new Promise(() => {});
    const ada = await joined("ada", around);
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.cut();
    around.slow = Promise.resolve();
    await pass(3_000);
    expect(text(notes)).toBe(LONG);
    expect(ada.snapshot().save.kind).toBe("live");
  });
});
