// @vitest-environment jsdom
import { act, cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { HubDesired, HubFeedAnswer } from "../../src/protocol";
import type { ScreenRoom, ScreenSnapshot } from "../../src/session/hub/screen";
import { JoinError } from "../../src/session/join";
import { App } from "../../src/ui/App";
import { FakeSession, bert } from "../support/fake-session";
import { DESIRED, feedOf } from "../support/hub-server";
import { LIMITED } from "../support/hubs";
import { show } from "../support/page";

vi.mock("../../src/ui/board/Board", () => ({ default: () => <p>the board</p> }));
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));

/** A screen that shows what it is told and remembers what was touched. */
class FakeScreen {
  readonly asked: unknown[][] = [];
  refusal: Error | null = null;
  closed = false;
  #listeners = new Set<() => void>();
  #snapshot: ScreenSnapshot = {
    link: { kind: "live" },
    feed: feedOf(),
    room: { kind: "idle" },
    screen: 1,
    screens: 1,
    ended: null,
  };
  snapshot = () => this.#snapshot;
  subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  async #note(...call: unknown[]) {
    this.asked.push(call);
    if (this.refusal) throw this.refusal;
  }
  join = (hubId: string, pin?: string) => this.#note("join", hubId, pin);
  leaveRoom = () => this.#note("leaveRoom");
  installUpdate = () => this.#note("installUpdate");
  presenting = false;
  draws = (presenting: boolean) => void (this.presenting = presenting);
  close = () => void (this.closed = true);
  show(change: Partial<ScreenSnapshot>) {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }
  desire(desired: Partial<HubDesired>, more: Partial<HubFeedAnswer> = {}, room?: ScreenRoom) {
    const feed = feedOf({ ...more, desired: { ...DESIRED, ...desired } });
    this.show({ feed, ...(room ? { room } : {}) });
  }
}

async function open(wall = new FakeScreen(), hash = "#ticket=t1&local=http://127.0.0.1:9/k/") {
  history.replaceState(null, "", `/hub${hash}`);
  const openScreen = vi.fn(async () => wall);
  show(<App />, { openScreen });
  await waitFor(() => expect(openScreen).toHaveBeenCalled());
  return { wall, openScreen };
}
const button = (name: string | RegExp) => screen.getByRole("button", { name });
const NOW_S = () => Math.floor(Date.now() / 1000);

beforeEach(() => {
  localStorage.clear();
  sessionStorage.clear();
});
afterEach(() => {
  cleanup();
  history.replaceState(null, "", "/");
});

describe("the wall, idle", () => {
  it("shows how to join, and keeps the ticket out of the address", async () => {
    const { openScreen } = await open();
    expect(openScreen).toHaveBeenCalledWith(
      { ticket: "t1", local: "http://127.0.0.1:9/k/", screen: 1, screens: 1 },
      { relay: null },
    );
    expect(await screen.findByRole("heading", { name: "Lisbon" })).toBeTruthy();
    for (const words of ["412 907 338", "615823", "hub.example.org", "Connected"]) {
      expect(screen.getByText(words)).toBeTruthy();
    }
    expect(await screen.findByRole("img", { name: "QR code with the join link" })).toBeTruthy();
    expect(location.hash).toBe("");
    expect(document.documentElement.dataset.wall).toBe("");
  });

  it("goes on after a reload with what the tab kept", async () => {
    sessionStorage.setItem("mosaic.hub", JSON.stringify({ token: "s", hubId: "412907338" }));
    const { openScreen } = await open(new FakeScreen(), "");
    expect(openScreen).toHaveBeenCalledWith(null, { relay: null });
  });

  it("takes a new ticket in the same tab", async () => {
    const { wall, openScreen } = await open();
    await screen.findByText("Connected");
    act(() => {
      location.hash = "#ticket=t2";
      dispatchEvent(new HashChangeEvent("hashchange"));
    });
    await waitFor(() => expect(openScreen).toHaveBeenCalledTimes(2));
    expect(wall.closed).toBe(true);
  });

  it("says since when the line is gone, and lets nobody try in vain", async () => {
    const { wall } = await open();
    await screen.findByText("Connected");
    const since = new Date(2026, 10, 26, 10, 42).getTime();
    act(() => wall.show({ link: { kind: "lost", since } }));
    expect(screen.getByText(/No connection to the server since 10:42/)).toBeTruthy();
    expect((button("Start a meeting here") as HTMLButtonElement).disabled).toBe(true);
  });

  it("joins its own room, and one of the calendar, by one touch", async () => {
    const { wall } = await open();
    act(() =>
      wall.desire({}, {
        calendar: [
          { start: NOW_S() + 7200, end: NOW_S() + 9000, title: "Later", room: null },
          { start: NOW_S() - 60, end: NOW_S() + 900, title: "Review", room: "100000001" },
          { start: NOW_S() - 900, end: NOW_S() - 60, title: "Over", room: "100000002" },
        ],
      }),
    );
    await userEvent.click(await screen.findByRole("button", { name: "Start a meeting here" }));
    await userEvent.click(button("Join: Review"));
    expect(wall.asked).toEqual([["join", "412907338", undefined], ["join", "100000001", undefined]]);
    const rows = within(screen.getByRole("region", { name: "Next" })).getAllByRole("listitem");
    expect(rows.map((row) => row.textContent)).toEqual([
      "NowReviewJoin",
      expect.stringContaining("Later"),
    ]);
  });

  it("joins any room by its keys, and says what was wrong", async () => {
    const { wall } = await open();
    await userEvent.click(await screen.findByRole("button", { name: "Join another room" }));
    const pad = within(screen.getByRole("dialog", { hidden: true }));
    const key = (name: string) => pad.getByRole("button", { name, hidden: true });
    for (const digit of "100000001") await userEvent.click(key(digit));
    expect((pad.getByLabelText("Hub ID") as HTMLInputElement).value).toBe("100 000 001");
    for (const digit of "473") await userEvent.click(key(digit)); // the PIN's turn by itself
    await userEvent.click(key("Delete"));
    await userEvent.click(key("1"));
    wall.refusal = new JoinError({ kind: "wrong" }, null);
    await userEvent.click(key("Join"));
    expect(wall.asked).toEqual([["join", "100000001", "471"]]);
    expect((await pad.findByRole("alert", { hidden: true })).textContent).toMatch(/PIN is wrong/);
    expect((pad.getByLabelText("PIN") as HTMLInputElement).value).toBe("");
    // A real keyboard works as well.
    wall.refusal = null;
    await userEvent.type(pad.getByLabelText("PIN"), "4711{Enter}");
    expect(wall.asked.at(-1)).toEqual(["join", "100000001", "4711"]);
    await waitFor(() => expect(screen.queryByRole("dialog", { hidden: true })).toBeNull());
  });

  it("offers an update with its notes and size, once or later", async () => {
    const { wall } = await open();
    const found = { available: "1.4.0", notes: "Less echo", size: 18_400_000 };
    act(() => wall.desire({}, { found }));
    await userEvent.click(await screen.findByRole("button", { name: /Update 1.4.0/ }));
    expect(screen.getByText("Less echo")).toBeTruthy();
    expect(screen.getByText("18 MB to fetch.")).toBeTruthy();
    await userEvent.click(button("Later"));
    expect(screen.queryByRole("button", { name: /Update/ })).toBeNull();
    act(() => wall.desire({}, { found: { ...found, available: "1.5.0" } }));
    await userEvent.click(button(/Update 1.5.0/));
    await userEvent.click(button("Install"));
    expect(wall.asked).toEqual([["installUpdate"]]);
    expect(screen.getByText(/is being installed/)).toBeTruthy();
  });

  it("says in a line what the network lacks, and nothing of one that is good or over", async () => {
    const { wall } = await open();
    await screen.findByText("Connected");
    const said = () => screen.queryByText(/The network is limited\. UDP is blocked/);
    expect(said()).toBeNull();
    act(() => wall.desire({}, { network: LIMITED }));
    expect(said()).toBeTruthy();
    act(() => wall.desire({}, { network: { ...LIMITED, reason: "unreachable" } }));
    expect(said()).toBeNull();
    const cut = { capability: "signalling", outcome: "blocked" as const, advice: "UDP is blocked" };
    act(() => wall.desire({}, { network: { ...LIMITED, verdicts: [cut] } }));
    expect(said()).toBeNull();
    act(() => wall.desire({}, { network: { ...LIMITED, outcome: "ok", verdicts: [] } }));
    expect(screen.queryByText(/The network/)).toBeNull();
  });

  it("says how an update goes, and what runs when one did not work", async () => {
    const { wall } = await open();
    const told = (state: string) =>
      act(() => wall.desire({}, { found: { state, available: "1.4.0", runs: "1.3.0" } }));
    told("available");
    await userEvent.click(await screen.findByRole("button", { name: /Update 1.4.0/ }));
    await userEvent.click(button("Install"));
    told("installing");
    expect(screen.getByText(/is being installed/)).toBeTruthy();
    told("failed");
    await userEvent.click(button("Update 1.4.0 could not be installed"));
    expect(screen.getByText(/Everything runs as before/)).toBeTruthy();
    told("taken-back");
    expect(screen.getByText(/was taken back. Version 1.3.0 runs again/)).toBeTruthy();
    await userEvent.click(button("Try again"));
    expect(wall.asked).toEqual([["installUpdate"], ["installUpdate"]]);
    expect(screen.getByText(/is being installed/)).toBeTruthy();
    told("none");
    expect(screen.queryByText(/is being installed/)).toBeNull();
  });

  it("offers again what a touch did not start", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    try {
      const { wall } = await open();
      act(() => wall.desire({}, { found: { state: "available", available: "1.4.0" } }));
      await userEvent.click(await screen.findByRole("button", { name: /Update 1.4.0/ }));
      await userEvent.click(button("Install"));
      expect(screen.queryByRole("button", { name: /Update 1.4.0/ })).toBeNull();
      await act(() => vi.advanceTimersByTimeAsync(60_000));
      expect(button(/Update 1.4.0/)).toBeTruthy();
    } finally {
      vi.useRealTimers();
    }
  });

  it("says why the last meeting ended", async () => {
    const { wall } = await open();
    await screen.findByText("Connected");
    act(() => wall.show({ ended: "closed" }));
    expect(screen.getByRole("alert").textContent).toBe("The room was closed.");
  });

  it("speaks the language that the hub shall speak", async () => {
    const { wall } = await open();
    act(() => wall.desire({ locale: "de-AT" }));
    expect(await screen.findByText("Verbunden")).toBeTruthy();
  });

  it("says that only the box can open it", async () => {
    const { wall } = await open();
    act(() => wall.show({ link: { kind: "no-ticket" }, feed: null }));
    expect(await screen.findByRole("heading", { name: "This screen is opened by the box" })).toBeTruthy();
  });
});

describe("the wall, in a meeting", () => {
  async function meet(session = new FakeSession(), desired: Partial<HubDesired> = {}) {
    const { wall } = await open();
    await screen.findByText("Connected");
    const room = { kind: "inside", hubId: "412907338", session } as const;
    act(() => wall.desire({ room: "412907338", ...desired }, {}, room));
    await screen.findByRole("button", { name: "Leave" });
    return { wall, session };
  }

  it("shows Hub ID and PIN small, and the line that never lies", async () => {
    await meet();
    expect(screen.getByText("412 907 338")).toBeTruthy();
    expect(screen.getByText("615823")).toBeTruthy();
    expect(screen.getByRole("group", { name: "Connection" }).textContent).toBe("Live · saved");
  });

  it("keeps the PIN of its own room off another one's wall", async () => {
    const { wall } = await meet();
    act(() => wall.desire({ room: "100000001" }));
    expect(screen.getByText("100 000 001")).toBeTruthy();
    expect(screen.queryByText("615823")).toBeNull();
  });

  it("shows the people while nothing is drawn, and the board when somebody wants it", async () => {
    const { wall } = await meet();
    const people = () => screen.queryByRole("complementary", { name: "People" });
    expect(people()?.className).toContain("grid");
    expect(people()?.textContent).toContain("Bert Moor");
    expect(people()?.textContent).not.toContain("Ada"); // the wall itself
    act(() => wall.desire({ room: "412907338", layout: "board" }));
    expect(people()?.className).toContain("strip");
  });

  it("knows whether it draws what somebody presents", async () => {
    const shared = { id: "s", getAudioTracks: () => [], getVideoTracks: () => [], getTracks: () => [] };
    const call = { kind: "connected", path: "direct", protocol: null, port: null, rttMs: 3 } as const;
    const remote = [
      { personId: bert.id, camera: null, screen: shared as unknown as MediaStream, call },
    ];
    const { wall, session } = await meet(new FakeSession({ remote }));
    expect(wall.presenting).toBe(true);
    act(() => wall.desire({ room: "412907338", layout: "people" }));
    expect(wall.presenting).toBe(false);
    act(() => wall.desire({ room: "412907338", layout: "screen" }));
    expect(wall.presenting).toBe(true);
    act(() => session.show({ remote: [] }));
    expect(wall.presenting).toBe(false);
  });

  it("plays the others as loud as it shall", async () => {
    const track = { kind: "audio" } as MediaStreamTrack;
    const camera = {
      id: "s",
      getAudioTracks: () => [track],
      getVideoTracks: () => [],
      getTracks: () => [track],
    } as unknown as MediaStream;
    const call = { kind: "connected", path: "direct", protocol: null, port: null, rttMs: 3 } as const;
    const remote = [{ personId: bert.id, camera, screen: null, call }];
    const { wall } = await meet(new FakeSession({ remote }), { volume: 40 });
    const sound = () => document.querySelector("audio") as HTMLAudioElement;
    expect(sound().volume).toBeCloseTo(0.4);
    act(() => wall.desire({ room: "412907338", volume: 40, muted: true }));
    expect(sound().volume).toBe(0);
    expect(screen.getByText("Sound off")).toBeTruthy();
    // The second screen of a box must not say everything twice.
    act(() => wall.show({ screen: 2, screens: 2 }));
    expect(document.querySelector("audio")).toBeNull();
  });

  it("is black when the screen shall be off, and neither hears nor sees then", async () => {
    const stop = vi.fn();
    const track = { kind: "audio", stop, readyState: "live" };
    const stream = { getTracks: () => [track], getAudioTracks: () => [track], getVideoTracks: () => [] };
    vi.stubGlobal("navigator", Object.assign(navigator, {
      mediaDevices: { getUserMedia: async () => stream },
    }));
    const { wall, session } = await meet();
    await waitFor(() => expect(session.asked).toContainEqual(["setCamera", stream]));
    act(() => wall.desire({ room: "412907338", screen_on: false }));
    expect(screen.getByRole("img", { name: "The screen is off" })).toBeTruthy();
    expect(session.asked).toContainEqual(["setCamera", null]);
    expect(stop).toHaveBeenCalled();
  });

  it("waits to be let in", async () => {
    const session = new FakeSession({ save: { kind: "waiting" } });
    await meet(session);
    expect(screen.getByRole("heading", { name: "You will be let in soon" })).toBeTruthy();
  });

  it("leaves by one touch", async () => {
    const { wall } = await meet();
    await userEvent.click(button("Leave"));
    expect(wall.asked).toEqual([["leaveRoom"]]);
  });
});

describe("/hub opened by a person", () => {
  it("shows a room of their choice, and says what a box does", async () => {
    history.replaceState(null, "", "/hub");
    show(<App />);
    expect(screen.getByText(/mosaic hub run/)).toBeTruthy();
    await userEvent.type(screen.getByLabelText("Hub ID"), "412907338");
    await userEvent.click(button("Show"));
    expect(await screen.findByText("412 907 338")).toBeTruthy();
  });
});
