// @vitest-environment jsdom
import { cleanup, fireEvent, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { JoinProblem, JoinRequest } from "../../src/session/api";
import { JoinPage } from "../../src/ui/join/JoinPage";
import { FakeSession } from "../support/fake-session";
import { show } from "../support/page";

const refusal = (problem: JoinProblem) => Object.assign(new Error(problem.kind), { problem });

function open(join: (request: JoinRequest) => Promise<FakeSession>, hubId = "", pin = "") {
  const onJoined = vi.fn();
  show(<JoinPage hubId={hubId} pin={pin} onJoined={onJoined} />, { join });
  return onJoined;
}

beforeEach(() => localStorage.clear());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe("the join page", () => {
  it("joins with a name, a Hub ID in any grouping, and a PIN", async () => {
    const user = userEvent.setup();
    const session = new FakeSession();
    const join = vi.fn(async () => session);
    const onJoined = open(join);
    await user.type(screen.getByLabelText("Your name"), "  Ada ");
    await user.type(screen.getByLabelText("Hub ID"), "412-907 338 5");
    await user.type(screen.getByLabelText("PIN"), "6158");
    await user.click(screen.getByRole("button", { name: "Join" }));
    await waitFor(() => expect(onJoined).toHaveBeenCalledWith(session, "412907338", "6158"));
    expect(join).toHaveBeenCalledWith(
      { name: "Ada", hubId: "412907338", pin: "6158" },
      { relay: null },
    );
    expect(localStorage.getItem("mosaic.name")).toBe("Ada");
  });

  it("shows the Hub ID in groups of three and asks phones for digits", async () => {
    open(async () => new FakeSession(), "412907338", "6158");
    const hubId = screen.getByLabelText<HTMLInputElement>("Hub ID");
    expect(hubId.value).toBe("412 907 338");
    expect(hubId.inputMode).toBe("numeric");
    expect(screen.getByLabelText<HTMLInputElement>("PIN").value).toBe("6158");
  });

  it("says what is missing next to the field and moves there", async () => {
    const join = vi.fn(async () => new FakeSession());
    open(join);
    await userEvent.click(screen.getByRole("button", { name: "Join" }));
    const name = screen.getByLabelText("Your name");
    expect(name.getAttribute("aria-invalid")).toBe("true");
    expect(screen.getByText("Please give your name.")).toBeTruthy();
    expect(document.activeElement).toBe(name);
    expect(join).not.toHaveBeenCalled();
  });

  it.each<[JoinProblem, RegExp]>([
    [{ kind: "wrong" }, /Hub ID or PIN is wrong/],
    [{ kind: "unavailable", reason: "locked" }, /room is locked/],
    [{ kind: "unavailable", reason: "closed" }, /room is closed/],
    [{ kind: "invalid", detail: "name is too long" }, /name is too long/],
    [{ kind: "network" }, /server does not answer/],
  ])("says why it cannot join: %o", async (problem, words) => {
    localStorage.setItem("mosaic.name", "Ada");
    const onJoined = open(async () => {
      throw refusal(problem);
    }, "412907338");
    await userEvent.click(screen.getByRole("button", { name: "Join" }));
    await waitFor(() => expect(screen.getByRole("alert").textContent).toMatch(words));
    expect(onJoined).not.toHaveBeenCalled();
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Join" }).disabled).toBe(false);
  });

  it("counts down when the server wants a pause, then allows another try", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    localStorage.setItem("mosaic.name", "Ada");
    open(async () => {
      throw refusal({ kind: "later", retryAfterS: 3 });
    }, "412907338");
    const button = screen.getByRole<HTMLButtonElement>("button", { name: "Join" });
    fireEvent.click(button);
    await waitFor(() => expect(screen.getByRole("alert").textContent).toMatch(/in 3 seconds/));
    expect(button.disabled).toBe(true);
    await vi.advanceTimersByTimeAsync(3100);
    expect(button.disabled).toBe(false);
    expect(screen.getByRole("alert").textContent).toBe("");
  });

  it("never blocks joining for want of a camera, and says why there is none", async () => {
    localStorage.setItem("mosaic.name", "Ada");
    const onJoined = open(async () => new FakeSession(), "412907338");
    await screen.findByText(/need a secure address/); // jsdom has no media devices
    expect(screen.getByText(/join without a microphone/)).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Join" }));
    await waitFor(() => expect(onJoined).toHaveBeenCalled());
  });

  it("names a refused camera and still keeps the microphone", async () => {
    const track = { kind: "audio", stop: vi.fn(), getSettings: () => ({}) };
    class Stream {
      constructor(readonly tracks: unknown[] = []) {}
      getTracks = () => this.tracks;
      getAudioTracks = () => this.tracks;
      getVideoTracks = () => [];
    }
    vi.stubGlobal("MediaStream", Stream);
    const getUserMedia = vi.fn(async ({ video }: MediaStreamConstraints) => {
      if (video) throw Object.assign(new Error("no"), { name: "NotAllowedError" });
      return new Stream([track]);
    });
    Object.defineProperty(navigator, "mediaDevices", {
      configurable: true,
      value: { getUserMedia, enumerateDevices: async () => [] },
    });
    try {
      open(async () => new FakeSession());
      await screen.findByText(/Camera: this page may not use it/);
      expect(screen.queryByText(/Microphone: /)).toBeNull();
      expect(screen.getByText("You will join with sound on.")).toBeTruthy();
      await userEvent.click(screen.getByRole("button", { name: "Join with sound off" }));
      expect(screen.getByText("You will join with sound off.")).toBeTruthy();
    } finally {
      Reflect.deleteProperty(navigator, "mediaDevices");
      vi.unstubAllGlobals();
    }
  });
});
