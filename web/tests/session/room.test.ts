import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MeetingSession } from "../../src/session/meeting";
import { recentToken } from "../../src/session";
import { enter, environment, pass } from "./support/meeting";
import { HUB, MiniServer } from "./support/mini-server";

let server: MiniServer;
const sessions: MeetingSession[] = [];

async function joined(token: string, around = environment(server)) {
  const session = await enter(token, around);
  sessions.push(session);
  return session;
}
const names = (session: MeetingSession) =>
  session.snapshot().people.map(({ name }) => name);
const texts = (session: MeetingSession) =>
  session.snapshot().chat.map(({ text }) => text);

beforeEach(() => {
  vi.useFakeTimers();
  server = new MiniServer();
  server.account("ada");
  server.account("bob");
  server.account("hana", "host");
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.leave();
  vi.useRealTimers();
});

describe("the snapshot", () => {
  it("is the same object until something changed", async () => {
    const ada = await joined("ada");
    const first = ada.snapshot();
    expect(ada.snapshot()).toBe(first);
    ada.setHand(true);
    expect(ada.snapshot()).not.toBe(first);
  });

  it("tells listeners once of many changes in one task", async () => {
    const ada = await joined("ada");
    const listener = vi.fn();
    const stop = ada.subscribe(listener);
    ada.setHand(true);
    ada.setHand(false);
    await pass(0);
    expect(listener).toHaveBeenCalledTimes(1);
    stop();
    ada.setHand(true);
    await pass(0);
    expect(listener).toHaveBeenCalledTimes(1);
  });
});

describe("people", () => {
  it("come and go, me first", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    expect(names(ada)).toEqual(["ada", "bob"]);
    expect(names(bob)).toEqual(["bob", "ada"]);
    bob.leave();
    await pass(10);
    expect(names(ada)).toEqual(["ada"]);
  });

  it("of another door are people, and nobody calls them", async () => {
    const ada = await joined("ada");
    const xena = {
      id: "p-xena",
      name: "xena",
      role: "editor" as const,
      account: "xena",
      hand: false,
      mic: false,
      cam: false,
      screen: false,
      via: "xmpp",
    };
    server.event("p-xena", { type: "join", data: xena });
    await pass(10);
    expect(ada.snapshot().people[1]).toMatchObject({ name: "xena", via: "xmpp" });
    expect(ada.snapshot().remote).toEqual([]);
    server.event(null, { type: "leave", data: { id: "p-xena" } });
    await pass(10);
    expect(names(ada)).toEqual(["ada"]);
  });

  it("see a hand at once at home and soon elsewhere", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.setHand(true);
    expect(ada.snapshot().me?.hand).toBe(true);
    await pass(10);
    expect(bob.snapshot().people[1]?.hand).toBe(true);
  });

  it("hear of a hand that went up offline", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    server.cut();
    ada.setHand(true);
    await pass(2_000);
    expect(bob.snapshot().people.find(({ name }) => name === "ada")?.hand).toBe(
      true,
    );
  });

  it("are not confused by an echo that is older than the wish", async () => {
    const ada = await joined("ada");
    ada.setHand(true);
    ada.setHand(false);
    const seen: (boolean | undefined)[] = [];
    ada.subscribe(() => seen.push(ada.snapshot().me?.hand));
    await pass(100);
    expect(seen).not.toContain(true);
  });

  it("see reactions for five seconds", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.react("🎉");
    await pass(10);
    expect(bob.snapshot().reactions).toMatchObject([
      { personId: "p-ada", emoji: "🎉" },
    ]);
    await pass(5_000);
    expect(bob.snapshot().reactions).toEqual([]);
  });
});

describe("chat", () => {
  it("shows a message at once and numbers it when it is committed", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    ada.sendChat(" hello ");
    expect(ada.snapshot().chat).toMatchObject([{ text: "hello", seq: null }]);
    await pass(10);
    expect(ada.snapshot().chat).toMatchObject([{ text: "hello", seq: 1 }]);
    expect(bob.snapshot().chat).toMatchObject([{ text: "hello", author: "ada" }]);
  });

  it("keeps what is written offline, counts it, and sends it once", async () => {
    const ada = await joined("ada");
    server.down = true;
    server.cut();
    ada.sendChat("one");
    ada.sendChat("two");
    expect(ada.snapshot().save).toMatchObject({ kind: "offline", unsaved: 2 });
    server.down = false;
    await pass(5_000);
    expect(texts(ada)).toEqual(["one", "two"]);
    expect(server.chat.map(({ text }) => text)).toEqual(["one", "two"]);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
  });

  it("does not double a message whose acknowledgement was lost", async () => {
    const ada = await joined("ada");
    ada.sendChat("once");
    await pass(1); // it arrived, but the answer dies with the connection
    expect(server.chat).toHaveLength(1);
    server.cut();
    await pass(3_000);
    expect(server.chat).toHaveLength(1);
    expect(texts(ada)).toEqual(["once"]);
    expect(ada.snapshot().chat[0]?.seq).toBe(1);
  });

  it("takes the same event twice for one message", async () => {
    const ada = await joined("ada");
    ada.sendChat("once");
    await pass(10);
    const [message] = server.chat;
    if (message === undefined) throw new Error("not committed");
    server.event("p-ada", { type: "chat", data: message });
    await pass(10);
    expect(texts(ada)).toEqual(["once"]);
  });

  it("says that a message was refused, and does not repeat it", async () => {
    const ada = await joined("ada");
    server.event = () => undefined; // this one is never committed
    ada.sendChat("x");
    for (const connection of server.connections) {
      const json = { code: 4400, message: "chat takes 4000 characters" };
      connection.deliver({ channel: 0, type: "error", json });
    }
    await pass(30_000);
    expect(ada.snapshot().save).toEqual({
      kind: "cannot-save",
      reason: "refused",
      unsaved: 1,
    });
    const sent = server.seen.filter(({ message }) => message.type === "event");
    expect(sent).toHaveLength(1);
  });

  it("ignores blanks", async () => {
    const ada = await joined("ada");
    ada.sendChat("  \n");
    expect(ada.snapshot().chat).toEqual([]);
  });

  it("fetches what was missed during a long absence", async () => {
    const around = environment(server);
    const ada = await joined("ada", around);
    ada.sendChat("first");
    await pass(10);
    server.down = true;
    server.cut();
    const missed = Array.from({ length: 60 }, (_, index) => ({
      seq: index + 2,
      message_id: `m${index + 2}`,
      author_id: "p-bob",
      author: "bob",
      text: `${index + 2}`,
      at: 0,
    }));
    server.chat.push(...missed);
    around.answers[`GET /rooms/${HUB}/messages?limit=100&before=12`] = {
      status: 200,
      body: { messages: server.chat.filter(({ seq }) => seq < 12) },
    };
    server.down = false;
    await pass(5_000);
    expect(ada.snapshot().chat.map(({ seq }) => seq)).toEqual(
      Array.from({ length: 61 }, (_, index) => index + 1),
    );
  });
});

describe("hosts", () => {
  it("see the lobby, from the start and as it changes", async () => {
    const around = environment(server);
    around.answers[`GET /rooms/${HUB}/lobby`] = {
      status: 200,
      body: { waiting: [{ participant_id: "p9", name: "Gus" }] },
    };
    const hana = await joined("hana", around);
    expect(hana.snapshot().lobby).toEqual([{ participantId: "p9", name: "Gus" }]);
    server.event(null, { type: "lobby", data: { waiting: [] } });
    await pass(10);
    expect(hana.snapshot().lobby).toEqual([]);
  });

  it("admit, kick and lock through the REST API", async () => {
    const around = environment(server);
    const hana = await joined("hana", around);
    around.answers[`POST /rooms/${HUB}/lobby/p9`] = { status: 204 };
    around.answers[`DELETE /rooms/${HUB}/participants/p-bob`] = { status: 204 };
    around.answers[`PATCH /rooms/${HUB}`] = {
      status: 200,
      body: { hub_id: HUB, name: "Room", locked: true, lobby: false },
    };
    await hana.admit("p9", true);
    await hana.kick("p-bob");
    await hana.setLocked(true);
    await hana.setModerated(true);
    expect(around.requests.slice(-4)).toEqual([
      { method: "POST", path: `/rooms/${HUB}/lobby/p9`, body: { admit: true } },
      { method: "DELETE", path: `/rooms/${HUB}/participants/p-bob`, body: null },
      { method: "PATCH", path: `/rooms/${HUB}`, body: { locked: true } },
      { method: "PATCH", path: `/rooms/${HUB}`, body: { moderated: true } },
    ]);
    expect(hana.snapshot().room?.locked).toBe(true);
  });
});

describe("the lobby", () => {
  it("waits, opens nothing and says nothing", async () => {
    server.account("gus", "editor", true);
    const gus = await joined("gus");
    gus.open("board");
    gus.setHand(true);
    gus.sendChat("hello?");
    await pass(50);
    expect(gus.snapshot().save).toEqual({ kind: "waiting" });
    expect(server.seen).toMatchObject([{ message: { type: "ping" } }]);
  });

  it.each([
    ["a resync", true],
    ["a new welcome, if no resync comes", false],
  ])("is left with %s", async (_how, resync) => {
    server.account("gus", "editor", true);
    const ada = await joined("ada");
    ada.sendChat("hello");
    const gus = await joined("gus");
    gus.open("board");
    gus.setHand(true);
    const open = vi.spyOn(server, "document");
    server.admit("gus", resync);
    await pass(2_500);
    expect(open).toHaveBeenCalledWith("board");
    expect(gus.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(names(gus)).toEqual(["gus", "ada"]);
    expect(texts(gus)).toEqual(["hello"]);
    expect(
      server.seen.filter(
        ({ from, message }) => from === "p-gus" && message.type === "open",
      ),
    ).toHaveLength(1);
    expect(names(ada)).toEqual(["ada", "gus"]);
    expect(ada.snapshot().people[1]?.hand).toBe(true);
  });
});

describe("the end", () => {
  const die = (code: number, reason = "") => {
    for (const connection of [...server.connections]) {
      connection.die(code, reason);
    }
  };

  it.each([
    [4401, "", "expired"],
    [4403, "", "kicked"],
    [4403, "kicked", "kicked"],
    [4404, "", "closed"],
    [4409, "", "replaced"],
    [4423, "the room is closed", "closed"],
    [4423, "locked", "locked"],
  ])("%i %s is %s, and a reload does not come back", async (code, said, reason) => {
    const around = environment(server);
    const ada = await joined("ada", around);
    expect(recentToken(HUB, around)).toBe("ada");
    die(code, said);
    expect(ada.snapshot().save).toEqual({ kind: "ended", reason });
    expect(recentToken(HUB, around)).toBeNull();
    expect(around.signs).toBeNull();
  });

  it("is a refusal for someone in the lobby", async () => {
    server.account("gus", "editor", true);
    const gus = await joined("gus");
    die(4403);
    expect(gus.snapshot().save).toEqual({ kind: "ended", reason: "refused" });
  });

  it("leaves a token that a reload of the same room can use", async () => {
    const around = environment(server);
    await joined("ada", around);
    expect(recentToken(HUB, around)).toBe("ada");
    expect(recentToken("another", around)).toBeNull();
    expect(recentToken(undefined, around)).toBe("ada");
  });

  it("comes by leaving, and is told to the server", async () => {
    const ada = await joined("ada");
    ada.leave();
    await pass(10);
    expect(ada.snapshot().save).toEqual({ kind: "ended", reason: "left" });
    expect(server.connections.size).toBe(0);
    await pass(120_000);
    expect(server.connections.size).toBe(0);
  });
});
