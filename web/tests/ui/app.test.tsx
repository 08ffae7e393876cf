// @vitest-environment jsdom
import { act, cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EndReason } from "../../src/session/api";
import { App } from "../../src/ui/App";
import { go } from "../../src/ui/parts/route";
import { FakeSession } from "../support/fake-session";
import { show } from "../support/page";

vi.mock("../../src/ui/board/Board", () => ({ default: () => <p>the board</p> }));
vi.mock("../../src/ui/notes/Notes", () => ({ default: () => <p>the notes</p> }));
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));

const ROOM = "/join/412907338";

beforeEach(() => {
  localStorage.clear();
  localStorage.setItem("mosaic.name", "Ada");
  history.replaceState(null, "", "/");
});
afterEach(cleanup);

async function enterBy(session: FakeSession, path = `${ROOM}#pin=6158`) {
  history.replaceState(null, "", path);
  const join = vi.fn(async () => session);
  show(<App />, { join });
  await userEvent.click(await screen.findByRole("button", { name: "Join" }));
  return join;
}

describe("the way through a meeting", () => {
  it("goes from the door into the room, and keeps the room's address for a reload", async () => {
    await enterBy(new FakeSession());
    await screen.findByRole("button", { name: "Leave" });
    expect(location.pathname).toBe(ROOM);
    expect(location.hash).toBe("");
    expect(document.title).toBe("Design review · Mosaic");
  });

  it("stays in the meeting when the language changes", async () => {
    const session = new FakeSession();
    await enterBy(session);
    await userEvent.click(await screen.findByRole("button", { name: /Design review/ }));
    await userEvent.selectOptions(screen.getByRole("combobox", { name: "Language" }), "de");
    expect(await screen.findByRole("button", { name: "Verlassen" })).toBeTruthy();
    expect(session.asked).not.toContainEqual(["leave"]);
  });

  it("leaves, says so, and finds the way back with what was typed", async () => {
    await enterBy(new FakeSession());
    await userEvent.click(await screen.findByRole("button", { name: "Leave" }));
    expect(await screen.findByRole("heading", { name: "You left the room" })).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Join again" }));
    expect(await screen.findByDisplayValue("412 907 338")).toBeTruthy();
    expect(screen.getByDisplayValue("6158")).toBeTruthy();
  });

  it.each<[EndReason, RegExp]>([
    ["kicked", /took you out/],
    ["closed", /room is closed/],
    ["locked", /room is locked/],
    ["expired", /has run out/],
    ["replaced", /on another page/],
    ["refused", /did not let you in/],
  ])("says why it ended: %s", async (reason, words) => {
    const session = new FakeSession();
    await enterBy(session);
    await screen.findByRole("button", { name: "Leave" });
    act(() => session.show({ save: { kind: "ended", reason } }));
    expect(await screen.findByRole("heading", { name: words })).toBeTruthy();
  });

  it("waits in the lobby, then goes in by itself", async () => {
    const session = new FakeSession({ save: { kind: "waiting" } });
    await enterBy(session);
    expect(await screen.findByRole("heading", { name: "You will be let in soon" })).toBeTruthy();
    act(() => session.show({ save: { kind: "live", unsaved: 0 } }));
    expect(await screen.findByRole("button", { name: "Mute" })).toBeTruthy();
  });

  it("enters at once with an invitation and takes its token out of the address", async () => {
    const enter = vi.fn(async () => new FakeSession());
    history.replaceState(null, "", `${ROOM}#token=t0ken`);
    show(<App />, { enter });
    await screen.findByRole("button", { name: "Leave" });
    expect(enter).toHaveBeenCalledWith("t0ken", "412907338", { relay: null });
    expect(location.hash).toBe("");
  });

  it("comes to the door if there is no way straight in", async () => {
    history.replaceState(null, "", ROOM);
    show(<App />, { enter: async () => Promise.reject(new Error("no server")) });
    expect(await screen.findByRole("button", { name: "Join" })).toBeTruthy();
  });

  it("leaves the room when this tab goes to another page", async () => {
    const session = new FakeSession();
    await enterBy(session);
    await screen.findByRole("button", { name: "Leave" });
    act(() => go("/hub"));
    await waitFor(() => expect(session.asked).toContainEqual(["leave"]));
  });

  it("asks for the relay if the address does", async () => {
    const join = await enterBy(new FakeSession(), `${ROOM}?relay=tls`);
    expect(join).toHaveBeenCalledWith(expect.anything(), { relay: "tls" });
  });
});
