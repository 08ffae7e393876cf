// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import * as Y from "yjs";
import type { VersionInfo } from "../../src/session/api";
import { blocksOf } from "../../src/ui/notes/blocks";
import { en } from "../../src/ui/text/en";
import { byDay, dayTitle, reasonWords, whoWords } from "../../src/ui/versions/words";
import { Workspace } from "../../src/ui/workspace/Workspace";
import { FakeSession, ada } from "../support/fake-session";
import { show } from "../support/page";

vi.mock("../../src/ui/board/Board", () => ({ default: () => <p>the board</p> }));
vi.mock("../../src/ui/board/BoardPreview", () => ({ default: () => <p>the old board</p> }));
vi.mock("../../src/ui/notes/Notes", () => ({ default: () => <p>the notes</p> }));

const button = (name: string | RegExp) => screen.getByRole("button", { name });

function version(id: number, at: Date, more: Partial<VersionInfo> = {}): VersionInfo {
  return {
    id,
    at: at.getTime() / 1000,
    label: null,
    reason: "auto",
    authors: [{ id: "a", name: "Ada" }],
    ...more,
  };
}

async function openPanel(session: FakeSession) {
  show(<Workspace session={session} pin="6158" />);
  await userEvent.click(button(/Design review/));
  await userEvent.click(button("Versions"));
  return screen.getByRole("region", { name: "Versions" });
}

beforeEach(() => localStorage.clear());
afterEach(cleanup);

describe("the panel of versions", () => {
  it("lists the past of what is on the canvas, by day", async () => {
    const session = new FakeSession();
    const now = new Date();
    session.kept = [
      version(3, now, { label: "Draft" }),
      version(2, now, { reason: "empty", authors: [] }),
      version(1, new Date(2020, 1, 3, 9, 30)),
    ];
    const panel = await openPanel(session);
    expect(session.asked).toContainEqual(["versions.list", "board"]);
    const today = await within(panel).findByRole("region", { name: "Today" });
    expect(within(today).getAllByRole("button")).toHaveLength(2);
    expect(today.textContent).toContain("Draft");
    expect(today.textContent).toContain("When the last one left");
    expect(panel.textContent).toContain("Edited by Ada");
    await userEvent.click(button("Notes"));
    expect(session.asked).toContainEqual(["versions.list", "notes/main"]);
  });

  it("names the present state, and says so", async () => {
    const session = new FakeSession();
    await openPanel(session);
    await userEvent.type(screen.getByLabelText("Name this version"), " Draft {Enter}");
    expect(session.asked).toContainEqual(["versions.name", "board", "Draft"]);
    expect(await screen.findByText("Kept as “Draft”.")).toBeTruthy();
    expect((screen.getByLabelText("Name this version") as HTMLInputElement).value).toBe("");
  });

  it("tells why a name was not kept, and keeps what was typed", async () => {
    const session = new FakeSession();
    session.refusal = "disk-full";
    await openPanel(session);
    await userEvent.type(screen.getByLabelText("Name this version"), "Draft{Enter}");
    expect(await screen.findByText("Not saved: the server's disk is full.")).toBeTruthy();
    expect((screen.getByLabelText("Name this version") as HTMLInputElement).value).toBe("Draft");
  });

  it("restores only after saying what happens", async () => {
    const session = new FakeSession();
    session.kept = [version(7, new Date(), { label: "Draft" })];
    await openPanel(session);
    await userEvent.click(await screen.findByRole("button", { name: /Draft/ }));
    expect(await screen.findByText("the old board")).toBeTruthy();
    const before = session.asked.length;
    const act = { hidden: true }; // jsdom shows no modal dialogs
    await userEvent.click(screen.getByRole("button", { name: "Restore", ...act }));
    expect(screen.getByText(/changes for everyone/)).toBeTruthy();
    expect(session.asked).toHaveLength(before);
    await userEvent.click(screen.getByRole("button", { name: "Not now", ...act }));
    await userEvent.click(screen.getByRole("button", { name: "Restore", ...act }));
    await userEvent.click(screen.getByRole("button", { name: "Restore for everyone", ...act }));
    expect(session.asked).toContainEqual(["versions.restore", 7]);
    expect(await screen.findByText("Restored. Everyone sees it.")).toBeTruthy();
  });

  it("renames a version, by the keyboard", async () => {
    const session = new FakeSession();
    session.kept = [version(7, new Date(), { label: "Draft" })];
    await openPanel(session);
    await userEvent.click(await screen.findByRole("button", { name: /Draft/ }));
    const act = { hidden: true }; // jsdom shows no modal dialogs
    await userEvent.click(screen.getByRole("button", { name: "Rename", ...act }));
    const field = screen.getByLabelText("Name of this version") as HTMLInputElement;
    expect(document.activeElement).toBe(field);
    expect(field.value).toBe("Draft");
    await userEvent.type(field, " two {Enter}");
    expect(session.asked).toContainEqual(["versions.rename", 7, "Draft two"]);
    expect(await screen.findByText("It is called “Draft two” now.")).toBeTruthy();
  });

  it("takes a name away, and asks nothing for the same one", async () => {
    const session = new FakeSession();
    session.kept = [version(7, new Date(), { label: "Draft" })];
    await openPanel(session);
    await userEvent.click(await screen.findByRole("button", { name: /Draft/ }));
    const act = { hidden: true };
    await userEvent.click(screen.getByRole("button", { name: "Rename", ...act }));
    await userEvent.type(screen.getByLabelText("Name of this version"), "{Enter}");
    expect(session.asked.map(([what]) => what)).not.toContain("versions.rename");
    await userEvent.click(screen.getByRole("button", { name: "Rename", ...act }));
    await userEvent.clear(screen.getByLabelText("Name of this version"));
    await userEvent.click(screen.getByRole("button", { name: "Save name", ...act }));
    expect(session.asked).toContainEqual(["versions.rename", 7, null]);
    expect(await screen.findByText("The name was taken away.")).toBeTruthy();
  });

  it("gives a name to one without, and keeps what was typed if that fails", async () => {
    const session = new FakeSession();
    session.kept = [version(7, new Date())];
    session.refusal = "too-many";
    await openPanel(session);
    await userEvent.click(await screen.findByRole("button", { name: /Kept by itself/ }));
    const act = { hidden: true };
    await userEvent.click(screen.getByRole("button", { name: "Give a name", ...act }));
    const field = screen.getByLabelText("Name of this version") as HTMLInputElement;
    await userEvent.type(field, "First{Enter}");
    expect(await screen.findByText(/remove versions with a name first/)).toBeTruthy();
    expect(field.value).toBe("First");
  });

  it("lets viewers look and nothing else", async () => {
    const session = new FakeSession({ me: { ...ada, role: "viewer" } });
    session.kept = [version(7, new Date(), { label: "Draft" })];
    await openPanel(session);
    expect(screen.queryByLabelText("Name this version")).toBeNull();
    await userEvent.click(await screen.findByRole("button", { name: /Draft/ }));
    expect(await screen.findByText("the old board")).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Restore", hidden: true })).toBeNull();
    expect(screen.queryByRole("button", { name: "Remove", hidden: true })).toBeNull();
    expect(screen.queryByRole("button", { name: "Rename", hidden: true })).toBeNull();
  });
});

describe("words for versions", () => {
  it("puts versions of one day together", () => {
    const days = byDay([
      version(3, new Date(2026, 4, 2, 23, 59)),
      version(2, new Date(2026, 4, 2, 0, 0)),
      version(1, new Date(2026, 4, 1, 23, 59)),
    ]);
    expect(days.map(({ versions }) => versions.map(({ id }) => id))).toEqual([[3, 2], [1]]);
  });

  it("calls today and yesterday by name, also over a change of clocks", () => {
    const now = new Date(2026, 2, 29, 12);
    expect(dayTitle(en, new Date(2026, 2, 29), "en", now)).toBe("Today");
    expect(dayTitle(en, new Date(2026, 2, 28), "en", now)).toBe("Yesterday");
    expect(dayTitle(en, new Date(2026, 2, 27), "en", now)).toContain("27");
  });

  it("says each name once, and that somebody has none", () => {
    const authors = [
      { id: "1", name: "Ada" },
      { id: "2", name: "" },
      { id: "3", name: "Ada" },
    ];
    expect(whoWords(en, version(1, new Date(), { authors }))).toBe("Edited by Ada, Someone");
    expect(reasonWords(en, version(1, new Date(), { reason: "restore" }))).toBe("Before going back");
  });
});

describe("notes to read", () => {
  it("keeps headings, lists in lists and text, and leaves formatting out", () => {
    const doc = new Y.Doc();
    const fragment = doc.getXmlFragment("default");
    const element = (name: string, ...children: (Y.XmlElement | Y.XmlText)[]) => {
      const made = new Y.XmlElement(name);
      made.insert(0, children);
      return made;
    };
    const bold = new Y.XmlText();
    bold.insert(0, "big");
    bold.insert(3, " words", { bold: true });
    const item = (text: string, ...more: Y.XmlElement[]) =>
      element("listItem", element("paragraph", new Y.XmlText(text)), ...more);
    fragment.insert(0, [
      element("heading", bold),
      element("bulletList", item("one", element("bulletList", item("inside")))),
      element("blockquote", element("paragraph", new Y.XmlText("said"))),
      element("codeBlock", new Y.XmlText("x = 1")),
      element("paragraph"),
    ]);
    expect(blocksOf(fragment)).toEqual([
      { kind: "heading", depth: 0, text: "big words" },
      { kind: "item", depth: 0, text: "one" },
      { kind: "item", depth: 1, text: "inside" },
      { kind: "quote", depth: 0, text: "said" },
      { kind: "code", depth: 0, text: "x = 1" },
    ]);
  });
});
