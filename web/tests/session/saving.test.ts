import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as Y from "yjs";
import { MemoryEditKeeper } from "../../src/session/kept-edits";
import type { MeetingSession } from "../../src/session/meeting";
import {
  enter,
  environment,
  generation,
  pass,
  text,
  type,
} from "./support/meeting";
import { HUB, MiniServer } from "./support/mini-server";

let server: MiniServer;
const sessions: MeetingSession[] = [];

async function joined(token: string, around = environment(server)) {
  const session = await enter(token, around);
  sessions.push(session);
  return session;
}
const committed = (name: string) =>
  server.document(name).committed.getText("t").toString();
const updatesSeen = (from: string) =>
  server.seen.filter(
    (seen) => seen.from === from && seen.message.type === "sync",
  ).length;

beforeEach(() => {
  vi.useFakeTimers();
  server = new MiniServer();
  server.account("ada");
  server.account("bob");
  server.account("eve", "viewer");
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.leave();
  vi.useRealTimers();
});

describe("saved is never a lie", () => {
  it("counts an edit until it is committed", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    server.disk = "hangs";
    type(notes, "a");
    expect(ada.snapshot().save).toEqual({ kind: "saving", unsaved: 1 });
    await pass(5_000);
    expect(ada.snapshot().save).toEqual({ kind: "saving", unsaved: 1 });
    server.release();
    await pass(10);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(committed("notes/minutes")).toBe("a");
  });

  it("counts every edit of a burst that went out as fewer messages", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.disk = "hangs";
    for (const letter of "abcdefgh") type(notes, letter);
    expect(ada.snapshot().save).toMatchObject({ kind: "saving", unsaved: 8 });
    await pass(100);
    expect(updatesSeen("p-ada")).toBe(2);
    server.release();
    await pass(10);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(committed("notes/minutes")).toBe("abcdefgh");
  });

  it("is not live before the document is in step", async () => {
    const ada = await joined("ada");
    ada.open("board");
    expect(ada.snapshot().save).toEqual({ kind: "connecting" });
    await pass(50);
    expect(ada.snapshot().save.kind).toBe("live");
  });

  it("says that the disk is full, keeps the edits, and tries again", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.disk = "full";
    type(notes, "precious");
    await pass(10);
    expect(ada.snapshot().save).toEqual({
      kind: "cannot-save",
      reason: "disk-full",
      unsaved: 1,
    });
    await pass(20_000);
    expect(ada.snapshot().save.kind).toBe("cannot-save");
    expect(committed("notes/minutes")).toBe("");
    server.disk = "commits";
    await pass(60_000);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(committed("notes/minutes")).toBe("precious");
  });

  it("does not take an acknowledgement after a full disk for the lost edit's", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.disk = "full";
    type(notes, "one ");
    await pass(100);
    server.disk = "commits";
    type(notes, "two");
    await pass(100);
    expect(ada.snapshot().save).toMatchObject({ kind: "cannot-save" });
    await pass(6_000);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(committed("notes/minutes")).toBe("one two");
  });

  it("saves the others when one edit is refused ahead of their answers", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.disk = "hangs";
    server.maxUpdateBytes = 500;
    type(notes, "small ");
    await pass(100);
    notes.doc.getText("big").insert(0, "x".repeat(1_000));
    await pass(100);
    expect(ada.snapshot().save).toMatchObject({ reason: "too-big", unsaved: 2 });
    server.release();
    await pass(1_000);
    expect(ada.snapshot().save).toMatchObject({ reason: "too-big", unsaved: 1 });
    expect(committed("notes/minutes")).toBe("small ");
    type(notes, "later");
    await pass(1_000);
    expect(ada.snapshot().save).toMatchObject({ reason: "too-big", unsaved: 1 });
    server.maxUpdateBytes = Infinity;
    server.cut();
    await pass(2_000);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(committed("notes/minutes")).toBe("small later");
    expect(
      server.document("notes/minutes").committed.getText("big").length,
    ).toBe(1_000);
  });

  it("tries again to open a document that could not be opened", async () => {
    const ada = await joined("ada");
    const document = vi.spyOn(server, "document");
    document.mockImplementationOnce(() => {
      throw new Error("refused");
    });
    const board = ada.open("board");
    await pass(50);
    expect(board.synced).toBe(false);
    expect(ada.snapshot().save).toEqual({ kind: "connecting" });
    await pass(6_000);
    expect(board.synced).toBe(true);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
  });

  it("loads a document whole when its state vector is too long to send", async () => {
    server.limits = { max_state_vector_bytes: 3 };
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    type(notes, "abc");
    await pass(50);
    server.cut();
    await pass(2_000);
    const opens = server.seen.map(({ message }) =>
      message.type === "open" ? message.stateVector.length : -1,
    );
    expect(opens.filter((length) => length >= 0)).toEqual([1, 0]);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(text(notes)).toBe("abc");
  });

  it("offers unacknowledged edits again, though the server has them in memory", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.disk = "hangs";
    type(notes, "x");
    await pass(10);
    expect(server.document("notes/minutes").doc.getText("t").toString()).toBe("x");
    server.cut();
    await pass(2_000);
    expect(ada.snapshot().save).toEqual({ kind: "saving", unsaved: 1 });
    server.release();
    await pass(10);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
  });

  it("loses nothing when the server crashes before it commits", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.disk = "hangs";
    type(notes, "kept");
    await pass(10);
    server.crash();
    server.disk = "commits";
    await pass(2_000);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(committed("notes/minutes")).toBe("kept");
  });

  it("writes nothing when a client with deletions in its document returns", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    type(notes, "abc");
    notes.doc.getText("t").delete(1, 1);
    await pass(100);
    const before = updatesSeen("p-ada");
    server.cut();
    await pass(2_000);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(updatesSeen("p-ada")).toBe(before);
  });

  it("returns a deletion that the server lost", async () => {
    const ada = await joined("ada");
    const notes = ada.open("notes/minutes");
    await pass(50);
    type(notes, "abc");
    await pass(100);
    const old = server.document("notes/minutes");
    const before = new Y.Doc();
    Y.applyUpdate(before, Y.encodeStateAsUpdate(old.doc));
    notes.doc.getText("t").delete(0, 1);
    await pass(100);
    server.cut();
    old.doc = before;
    await pass(2_000);
    expect(old.doc.getText("t").toString()).toBe("bc");
  });
});

describe("offline", () => {
  it("keeps edits, says how many, and merges both sides on return", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    const mine = ada.open("notes/minutes");
    const theirs = bob.open("notes/minutes");
    await pass(50);
    server.down = true;
    server.cut();
    type(mine, "A");
    type(mine, "A");
    type(theirs, "B");
    const { save } = ada.snapshot();
    expect(save).toMatchObject({ kind: "offline", unsaved: 2 });
    expect(save.kind === "offline" && save.retryAt).toBeTypeOf("number");
    await pass(20_000);
    expect(ada.snapshot().save).toMatchObject({ kind: "offline", unsaved: 2 });
    server.down = false;
    await pass(40_000);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    expect(text(mine)).toBe(text(theirs));
    expect(text(mine)).toHaveLength(3);
    expect(committed("notes/minutes")).toBe(text(mine));
  });

  it("comes back at once when the machine is online again", async () => {
    const around = environment(server);
    const ada = await joined("ada", around);
    ada.open("board");
    server.down = true;
    server.cut();
    await pass(60_000);
    server.down = false;
    around.signs?.network();
    await pass(50);
    expect(ada.snapshot().save.kind).toBe("live");
  });

  it("brings kept edits back after the page was lost", async () => {
    const keeper = new MemoryEditKeeper();
    const around = environment(server, keeper);
    const ada = await joined("ada", around);
    const notes = ada.open("notes/minutes");
    await pass(50);
    server.down = true;
    server.cut();
    type(notes, "only here");
    await pass(1_000);
    sessions.splice(sessions.indexOf(ada), 1); // the tab crashed: no leave
    server.down = false;
    server.account("ada again");
    const again = await joined("ada again", environment(server, keeper));
    const reopened = again.open("notes/minutes");
    await pass(50);
    expect(text(reopened)).toBe("only here");
    expect(committed("notes/minutes")).toBe("only here");
    await pass(1_000);
    ada.leave();
    expect(await keeper.load(`${HUB}/`)).toEqual([]);
  });

  it("keeps nothing for edits that are committed in time", async () => {
    const keeper = new MemoryEditKeeper();
    const put = vi.spyOn(keeper, "put");
    const ada = await joined("ada", environment(server, keeper));
    const notes = ada.open("notes/minutes");
    await pass(50);
    for (let round = 0; round < 50; round += 1) {
      type(notes, "x");
      await pass(30);
    }
    expect(put).not.toHaveBeenCalled();
  });
});

describe("another epoch", () => {
  it("never merges: our copy goes aside, the document begins anew", async () => {
    const keeper = new MemoryEditKeeper();
    const ada = await joined("ada", environment(server, keeper));
    const notes = ada.open("notes/minutes");
    await pass(50);
    type(notes, "old");
    await pass(50);
    server.down = true;
    server.cut();
    type(notes, " unsaved");
    server.documents.delete("notes/minutes");
    server.document("notes/minutes").epoch = "restored";
    const fresh = server.document("notes/minutes");
    fresh.doc.getText("t").insert(0, "new");
    Y.applyUpdate(fresh.committed, Y.encodeStateAsUpdate(fresh.doc));
    server.down = false;
    await pass(5_000);
    expect(text(notes)).toBe("new");
    expect(fresh.doc.getText("t").toString()).toBe("new");
    expect(generation(notes)).toBe(1);
    expect(ada.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
    const [fork] = await keeper.load(
      `${HUB}/notes/minutes@epoch-notes/minutes/`,
    );
    expect(fork).toMatchObject({ edits: 1 });
    type(notes, "er");
    await pass(100);
    expect(fresh.committed.getText("t").toString()).toBe("newer");
  });

  it("puts kept edits of another epoch aside, unsent", async () => {
    const keeper = new MemoryEditKeeper();
    await keeper.put({
      key: `${HUB}/board/p-x`,
      epoch: "long ago",
      update: Uint8Array.from([0, 0]),
      edits: 3,
      savedAt: 1,
    });
    const ada = await joined("ada", environment(server, keeper));
    ada.open("board");
    await pass(50);
    expect(updatesSeen("p-ada")).toBe(0);
    expect(await keeper.load(`${HUB}/board/`)).toEqual([]);
    expect(await keeper.load(`${HUB}/board@long ago/`)).toHaveLength(1);
  });
});

describe("roles", () => {
  it("is read-only for a viewer, who sends no edits", async () => {
    const eve = await joined("eve");
    const board = eve.open("board");
    await pass(50);
    expect(eve.snapshot().save).toEqual({ kind: "read-only" });
    expect(board.writable).toBe(false);
    type(board, "sneaky");
    await pass(1_000);
    expect(updatesSeen("p-eve")).toBe(0);
    expect(eve.snapshot().save).toMatchObject({
      kind: "cannot-save",
      reason: "forbidden",
    });
  });

  it("sends what waited when the role allows it", async () => {
    const eve = await joined("eve");
    const board = eve.open("board");
    await pass(50);
    type(board, "now");
    const account = server.accounts.get("eve");
    if (account === undefined) throw new Error("no account");
    account.person.role = "editor";
    server.event(null, { type: "person", data: { ...account.person } });
    await pass(50);
    expect(eve.snapshot().me?.role).toBe("editor");
    expect(committed("board")).toBe("now");
    expect(eve.snapshot().save).toEqual({ kind: "live", unsaved: 0 });
  });
});

describe("presence", () => {
  it("reaches the others with our name, and ends with the connection", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    const mine = ada.open("board");
    const theirs = bob.open("board");
    await pass(50);
    mine.awareness.setLocalStateField("cursor", { x: 1 });
    await pass(100);
    const state = theirs.awareness.getStates().get(mine.awareness.clientID);
    expect(state).toMatchObject({
      cursor: { x: 1 },
      user: { id: "p-ada", name: "ada" },
    });
    server.down = true;
    server.cut();
    expect([...theirs.awareness.getStates().keys()]).toEqual([
      theirs.awareness.clientID,
    ]);
  });

  it("is there again at once after a return", async () => {
    const ada = await joined("ada");
    const bob = await joined("bob");
    const mine = ada.open("board");
    const theirs = bob.open("board");
    await pass(100);
    for (const connection of server.connections) {
      if (connection.account?.person.name === "ada") connection.die(1006);
    }
    expect(mine.awareness.getStates().size).toBe(1);
    await pass(1_000);
    const state = mine.awareness.getStates().get(theirs.awareness.clientID);
    expect(state).toEqual({ user: { id: "p-bob", name: "bob" } });
  });
});
