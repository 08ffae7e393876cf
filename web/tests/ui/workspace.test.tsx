// @vitest-environment jsdom
import { act, cleanup, fireEvent, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Workspace } from "../../src/ui/workspace/Workspace";
import { FakeSession, ada, bert, message, person } from "../support/fake-session";
import { DESIRED } from "../support/hub-server";
import { hubOf } from "../support/hubs";
import { show } from "../support/page";

// The drawing and writing surfaces need a real browser; they have tests of their own.
vi.mock("../../src/ui/board/Board", () => ({ default: () => <p>the board</p> }));
vi.mock("../../src/ui/notes/Notes", () => ({ default: () => <p>the notes</p> }));

function open(session = new FakeSession()) {
  show(<Workspace session={session} pin="6158" />);
  return session;
}
const button = (name: string) => screen.getByRole("button", { name });

beforeEach(() => localStorage.clear());
afterEach(cleanup);

describe("export", () => {
  const saved: string[] = [];
  beforeEach(() => {
    saved.length = 0;
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:x", revokeObjectURL: () => {} }));
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      saved.push(this.download);
    });
  });
  const openExport = async (session: FakeSession) => {
    open(session);
    await userEvent.click(screen.getByRole("button", { name: /Design review/ }));
    await userEvent.click(button("Export room…"));
    return within(screen.getByRole("dialog", { hidden: true }));
  };
  const named = (name: string) => ({ name, hidden: true });

  it("shows how far the archive is, and gives it to the browser", async () => {
    const session = new FakeSession();
    const dialog = await openExport(session);
    await userEvent.click(dialog.getByRole("button", named("Export room")));
    const bar = dialog.getByRole("progressbar", { hidden: true });
    expect(bar.getAttribute("value")).toBe("0.5");
    act(() => session.finishExport(new Blob(["zip"])));
    expect(await dialog.findByText("Downloaded: Design review.zip")).toBeTruthy();
    expect(saved).toEqual(["Design review.zip"]);
  });

  it("can be cancelled without a complaint", async () => {
    const dialog = await openExport(new FakeSession());
    await userEvent.click(dialog.getByRole("button", named("Export room")));
    await userEvent.click(dialog.getByRole("button", named("Cancel")));
    expect(await dialog.findByRole("button", named("Export room"))).toBeTruthy();
    expect(dialog.getByRole("alert", { hidden: true }).textContent).toBe("");
    expect(saved).toEqual([]);
  });

  it("says why it did not work", async () => {
    const session = new FakeSession();
    const dialog = await openExport(session);
    await userEvent.click(dialog.getByRole("button", named("Export room")));
    act(() => session.finishExport(new Error("the disk is full")));
    expect(await dialog.findByText("That did not work: the disk is full")).toBeTruthy();
  });

  it("gives one document in one format, to viewers too", async () => {
    const session = new FakeSession({ me: { ...ada, role: "viewer" } });
    const dialog = await openExport(session);
    expect(dialog.queryByRole("button", named("Export room"))).toBeNull();
    await userEvent.click(dialog.getByRole("button", named("Notes as DOCX")));
    expect(session.asked).toContainEqual(["exportDocument", "notes/main", "docx"]);
    expect(saved).toEqual(["Design review – Notes.docx"]);
  });
});

describe("the workspace", () => {
  it("offers the four places by their names", async () => {
    open();
    for (const name of ["Whiteboard", "Notes", "Chat", "People"]) {
      expect(button(name)).toBeTruthy();
    }
    expect(await screen.findByText("the board")).toBeTruthy();
    await userEvent.click(button("Notes"));
    expect(await screen.findByText("the notes")).toBeTruthy();
    expect(button("Notes").getAttribute("aria-pressed")).toBe("true");
    expect(button("Whiteboard").getAttribute("aria-pressed")).toBe("false");
  });

  it("says the truth at the bottom left, and speaks it only when it matters", () => {
    const session = open();
    const line = screen.getByRole("group", { name: "Connection" });
    expect(line.textContent).toBe("Live · saved");
    const spoken = screen.getByRole("status");
    act(() => session.show({ save: { kind: "saving", unsaved: 1 } }));
    expect(line.textContent).toBe("Saving…");
    expect(spoken.textContent).toBe("");
    act(() => session.show({ save: { kind: "offline", unsaved: 2, retryAt: null } }));
    expect(line.textContent).toBe("Offline · 2 changes kept on this device");
    expect(spoken.textContent).toBe("Offline · 2 changes kept on this device");
    act(() => session.show({ save: { kind: "live", unsaved: 0 } }));
    expect(spoken.textContent).toBe("Connected again. Everything is saved.");
  });

  it("tells who comes and raises a hand", () => {
    const session = open();
    const cleo = person("p-cleo", "Cleo");
    act(() => session.show({ people: [ada, bert, cleo] }));
    expect(screen.getByRole("status").textContent).toBe("Cleo came in");
    act(() => session.show({ people: [ada, { ...bert, hand: true }, cleo] }));
    expect(screen.getByRole("status").textContent).toBe("Bert Moor raised a hand");
  });

  it("sends a message with Enter and keeps Shift+Enter for a new line", async () => {
    const user = userEvent.setup();
    const session = open();
    await user.click(button("Chat"));
    const field = screen.getByLabelText("Message");
    await user.type(field, "one{Shift>}{Enter}{/Shift}two{Enter}");
    expect(session.asked).toContainEqual(["sendChat", "one\ntwo"]);
    expect((field as HTMLTextAreaElement).value).toBe("");
    expect(screen.getByRole("log").textContent).toContain("one\ntwo");
  });

  it("sends nothing for blanks", async () => {
    const session = open();
    await userEvent.click(button("Chat"));
    await userEvent.type(screen.getByLabelText("Message"), "   {Enter}");
    expect(session.asked).toEqual([]);
  });

  it("says what was edited and what was removed", async () => {
    const session = open();
    await userEvent.click(button("Chat"));
    const edited = { ...message(1, bert, "hello"), edited: true };
    const removed = { ...message(2, bert, ""), removed: true };
    act(() => session.show({ chat: [edited, removed] }));
    const [first, second] = within(screen.getByRole("log")).getAllByRole("listitem");
    expect(first?.textContent).toContain("hello (edited)");
    expect(second?.textContent).toContain("This message was removed.");
  });

  it("lets viewers read in a moderated room", async () => {
    const me = { ...ada, role: "viewer" as const };
    const room = { hubId: "412907338", name: "Talk", locked: false, lobby: false, moderated: true };
    open(new FakeSession({ me, people: [me, bert], room }));
    await userEvent.click(button("Chat"));
    expect((screen.getByLabelText("Message") as HTMLTextAreaElement).disabled).toBe(true);
    expect(screen.getByText("Viewers do not write in this room.")).toBeTruthy();
  });

  it("tells who has chat alone, and shows no picture of them", async () => {
    const xena = person("p-x", "Xena", { via: "xmpp", mic: false, cam: false });
    open(new FakeSession({ people: [ada, bert, xena] }));
    expect(within(screen.getByRole("complementary", { name: "People" })).queryByText(/Xena/)).toBeNull();
    await userEvent.click(button("People"));
    const row = screen.getAllByRole("listitem").find((one) => one.textContent?.includes("Xena"));
    expect(row?.textContent).toContain("Editor · chat by XMPP");
    expect(within(row as HTMLElement).queryByLabelText("muted")).toBeNull();
  });

  it("shows text of others as text", async () => {
    const session = open();
    await userEvent.click(button("Chat"));
    act(() => session.show({ chat: [message(1, bert, "<img src=x onerror=alert(1)>")] }));
    const log = screen.getByRole("log");
    expect(log.querySelector("img")).toBeNull();
    expect(log.textContent).toContain("<img src=x");
  });

  it("counts what was said while the chat was closed", async () => {
    const session = open();
    act(() => session.show({ chat: [message(1, bert, "hello")] }));
    expect(button("Chat").getAttribute("aria-description")).toBe("1 new message");
    await userEvent.click(button("Chat"));
    expect(button("Chat").getAttribute("aria-description")).toBeNull();
  });

  it("mutes with M, but not while someone types", async () => {
    const user = userEvent.setup();
    const session = open();
    await user.keyboard("m");
    expect(session.asked).toEqual([["setMicOn", false]]);
    await user.click(button("Chat"));
    await user.type(screen.getByLabelText("Message"), "mvh?");
    expect(session.asked).toHaveLength(1);
  });

  it("raises the hand with H, and with Alt+H from within a text", async () => {
    const user = userEvent.setup();
    const session = open();
    await user.keyboard("h");
    expect(session.asked).toEqual([["setHand", true]]);
    expect(button("Lower hand")).toBeTruthy();
    await user.click(button("Chat"));
    await user.type(screen.getByLabelText("Message"), "{Alt>}h{/Alt}");
    expect(session.asked[1]).toEqual(["setHand", false]);
  });

  it("lists the shortcuts on ?", async () => {
    open();
    await userEvent.keyboard("?");
    expect(screen.getByText("Keyboard shortcuts")).toBeTruthy();
  });

  it("closes a panel with Escape", async () => {
    open();
    await userEvent.click(button("People"));
    expect(screen.getByRole("region", { name: "People" })).toBeTruthy();
    await userEvent.keyboard("{Escape}");
    expect(screen.queryByRole("region", { name: "People" })).toBeNull();
  });

  it("names its buttons after what they will do", () => {
    const session = open();
    expect(button("Mute")).toBeTruthy();
    expect(button("Start camera")).toBeTruthy();
    act(() => session.show({ local: { camera: null, screen: null, micOn: false, camOn: true } }));
    expect(button("Unmute")).toBeTruthy();
    expect(button("Stop camera")).toBeTruthy();
  });

  it("leaves", async () => {
    const session = open();
    await userEvent.click(button("Leave"));
    expect(session.asked).toEqual([["leave"]]);
  });

  it("lets a host answer the lobby", async () => {
    const session = open(new FakeSession({ lobby: [{ participantId: "w1", name: "Eve" }] }));
    await userEvent.click(button("Let in: Eve"));
    expect(session.asked).toEqual([["admit", "w1", true]]);
  });

  it("asks before a host takes someone out", async () => {
    const session = open();
    await userEvent.click(button("People"));
    await userEvent.click(button("Take Bert Moor out of the room"));
    expect(session.asked).toEqual([]);
    await userEvent.click(button("Take Bert Moor out?"));
    expect(session.asked).toEqual([["kick", "p-bert"]]);
  });

  it("shows hosts' tools to hosts only", async () => {
    const me = { ...ada, role: "editor" as const };
    open(
      new FakeSession({ me, people: [me, bert], lobby: [{ participantId: "w1", name: "Eve" }] }),
    );
    await userEvent.click(button("People"));
    expect(screen.queryByRole("switch")).toBeNull();
    expect(screen.queryByRole("button", { name: /Eve/ })).toBeNull();
    expect(screen.queryByRole("button", { name: /out of the room/ })).toBeNull();
  });

  it("locks and moderates the room by switches", async () => {
    const session = open();
    await userEvent.click(button("People"));
    await userEvent.click(screen.getByRole("switch", { name: "Lock the room" }));
    await userEvent.click(screen.getByRole("switch", { name: "Guests only watch" }));
    expect(session.asked).toEqual([
      ["setLocked", true],
      ["setModerated", true],
    ]);
  });

  it("gives Hub ID, PIN and link in the room's menu", async () => {
    open();
    await userEvent.click(screen.getByRole("button", { name: /Design review/ }));
    const menu = within(screen.getByRole("group", { name: "Room" }));
    expect(menu.getByText("412 907 338")).toBeTruthy();
    expect(menu.getByText("6158")).toBeTruthy();
    expect(menu.getByRole("button", { name: "Copy link" })).toBeTruthy();
  });
});

describe("a hub in the room", () => {
  const box = person("p-hub", "Lisbon", { role: "editor", hub: "412907338" });
  const namesake = person("p-liar", "Lisbon");
  const withHub = (me = ada) => {
    const session = new FakeSession({ me, people: [me, namesake, bert, box] });
    session.boxes = [hubOf(), hubOf({ hub_id: "1", name: "Porto", desired: { ...DESIRED, room: null } })];
    return open(session);
  };

  it("is controlled by a host from its row in People", async () => {
    const session = withHub();
    await userEvent.click(button("People"));
    await userEvent.click(await screen.findByRole("button", { name: "Control the hub: Lisbon" }));
    const rows = [...document.querySelectorAll(".person")].filter((one) => one.textContent?.includes("Lisbon"));
    expect(rows.map((one) => one.textContent?.includes("Control the hub"))).toEqual([false, true]);
    const [, row] = rows;
    const controls = within(row as HTMLElement);
    await userEvent.click(controls.getByLabelText("Sound off"));
    await userEvent.click(controls.getByRole("button", { name: "Whiteboard" }));
    await userEvent.click(controls.getByLabelText("Screen on"));
    fireEvent.change(controls.getByLabelText("Volume"), { target: { value: "35" } });
    await waitFor(() =>
      expect(session.asked.filter(([what]) => what === "hubs.change")).toEqual(
        [{ muted: true }, { layout: "board" }, { screen_on: false }, { volume: 35 }].map((desired) => [
          "hubs.change",
          "412907338",
          { desired },
        ]),
      ),
    );
    await userEvent.click(controls.getByRole("button", { name: "Leave the room: Lisbon" }));
    await userEvent.click(controls.getByRole("button", { name: "Really leave" }));
    await waitFor(() => expect(screen.queryByRole("button", { name: "Control the hub: Lisbon" })).toBeNull());
    expect(screen.queryByText("Porto")).toBeNull();
  });

  it("shows its screenshot", async () => {
    vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:x", revokeObjectURL: () => {} }));
    const session = withHub();
    session.answer = { state: "done", detail: null, file: "/x" };
    await userEvent.click(button("People"));
    await userEvent.click(await screen.findByRole("button", { name: "Control the hub: Lisbon" }));
    await userEvent.click(button("Screenshot"));
    expect(await screen.findByRole("img", { name: "Screenshot of Lisbon" })).toBeTruthy();
  });

  it("is known in the lobby too", async () => {
    const lobby = [
      { participantId: "w1", name: "Porto", hub: "100000001" },
      { participantId: "w2", name: "Porto" },
    ];
    open(new FakeSession({ lobby }));
    await userEvent.click(button("People"));
    const rows = within(screen.getByRole("region", { name: "Waiting to come in" })).getAllByRole("listitem");
    expect(rows.map((row) => row.querySelector(".person-name")?.textContent)).toEqual(["Portohub", "Porto"]);
  });

  it("is nobody's but a host's to control", async () => {
    withHub({ ...ada, role: "editor" });
    await userEvent.click(button("People"));
    await act(async () => {});
    expect(screen.queryByRole("button", { name: /Control/ })).toBeNull();
  });
});
