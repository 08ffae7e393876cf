// @vitest-environment jsdom
import { act, cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HubCalls } from "../../src/protocol";
import type { Hub, HubCode, HubCommand, HubNetworkDetails } from "../../src/protocol";
import { HubsSection } from "../../src/ui/admin/hubs/HubsSection";
import { spanWords, windowOf } from "../../src/ui/admin/hubs/words";
import { en } from "../../src/ui/text/en";
import { LIMITED, hubOf } from "../support/hubs";
import { show } from "../support/page";

const SOON = Date.now() / 1000 + 3600;

/** The server's side of a few hubs; what was asked is in `asked`. */
class Fleet {
  hubs: Hub[] = [];
  codes: HubCode[] = [];
  command: Partial<HubCommand> = { state: "done", detail: null, file: null };
  details: HubNetworkDetails | null = null;
  down = false;
  readonly asked: string[] = [];
  readonly fetch = async (url: unknown, init?: RequestInit): Promise<Response> => {
    const call = `${init?.method} ${String(url).replace("/api/v1", "")}`;
    const body = init?.body ? ` ${String(init.body)}` : "";
    if (!call.startsWith("GET")) this.asked.push(call + body);
    if (this.down) throw new TypeError("failed");
    const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
    if (call === "GET /hubs") return json({ hubs: this.hubs });
    if (call === "GET /hub-codes") return json({ codes: this.codes });
    if (call === "POST /hub-codes") {
      const made = { id: "c1", name: null, uses: 1, uses_left: 1, expires_at: SOON };
      this.codes = [made];
      return json({ ...made, code: "7KQ2M-XW9RD" }, 201);
    }
    if (call.startsWith("DELETE /hub-codes/")) this.codes = [];
    if (call === "DELETE /hubs/412907338") this.hubs = [];
    if (call.startsWith("DELETE")) return new Response(null, { status: 204 });
    if (call.startsWith("PATCH")) return json(this.hubs[0]);
    if (call.endsWith("/commands")) return json({ id: "k1" }, 201);
    if (call.endsWith("/commands/k1")) return json({ id: "k1", ...this.command });
    if (call.endsWith("/network-check") && this.details) return json(this.details);
    if (call.endsWith("/file")) return new Response("png");
    return json({ status: 404, title: "Not found" }, 404);
  };
}

function open(fleet = new Fleet(), admin = true) {
  const calls = new HubCalls({ origin: "", fetch: fleet.fetch });
  show(<HubsSection calls={calls} admin={admin} onRefused={() => {}} />);
  return fleet;
}
const button = (name: string | RegExp) => screen.getByRole("button", { name });
async function manage(fleet = new Fleet()) {
  if (fleet.hubs.length === 0) fleet.hubs = [hubOf()];
  open(fleet);
  await userEvent.click(await screen.findByRole("button", { name: "Manage: Lisbon" }));
  return fleet;
}

beforeEach(() => {
  vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:x", revokeObjectURL: () => {} }));
});
afterEach(() => {
  vi.useRealTimers();
  cleanup();
});

describe("hubs in administration", () => {
  it("says what a hub is and how to begin when there is none", async () => {
    open();
    expect(await screen.findByText(/the box on a meeting room's wall/)).toBeTruthy();
  });

  it("shows nothing to an account that looks after no hub", async () => {
    open(new Fleet(), false);
    await act(async () => {});
    expect(screen.queryByRole("heading", { name: "Hubs" })).toBeNull();
  });

  it("shows a code once, with the command for the box, and revokes it", async () => {
    const fleet = open();
    await userEvent.clear(await screen.findByLabelText("For how many hubs"));
    await userEvent.type(screen.getByLabelText("For how many hubs"), "3");
    await userEvent.selectOptions(screen.getByLabelText("Valid for"), "day");
    await userEvent.click(button("Make code"));
    expect(await screen.findByText("7KQ2M-XW9RD")).toBeTruthy();
    expect(fleet.asked[0]).toBe('POST /hub-codes {"uses":3,"expires_in_s":86400}');
    expect(screen.getByText(/mosaic hub run --server .* --enrol-code 7KQ2M-XW9RD/)).toBeTruthy();
    await userEvent.click(button("Revoke: Activation code"));
    await userEvent.click(button("Really revoke"));
    await waitFor(() => expect(screen.queryByText("7KQ2M-XW9RD")).toBeNull());
    expect(fleet.asked[1]).toBe("DELETE /hub-codes/c1");
  });

  it("keeps codes apart that let nobody in any more", async () => {
    const fleet = new Fleet();
    const code = { name: null, uses: 2, uses_left: 2, expires_at: SOON };
    fleet.codes = [
      { ...code, id: "c1", name: "Porto" },
      { ...code, id: "c2", name: "Lisbon", uses_left: 0 },
      { ...code, id: "c3", name: "Faro", expires_at: 1_700_000_000 },
    ];
    open(fleet);
    expect(await screen.findByText(/^for 2 more hubs, until /)).toBeTruthy();
    const spent = within(screen.getByRole("group"));
    expect(spent.getByText("Show 2 codes that are used up or expired")).toBeTruthy();
    expect(spent.getByText("used up: 2 hubs came in with it")).toBeTruthy();
    expect(spent.getByText(/^expired /)).toBeTruthy();
    await userEvent.click(screen.getByText("Show 2 codes that are used up or expired"));
    await userEvent.click(button("Delete: Lisbon"));
    expect(fleet.asked).toEqual(["DELETE /hub-codes/c2"]);
  });

  it("tells what a hub does, what is wrong with it, and since when it is away", async () => {
    const fleet = new Fleet();
    const { status } = hubOf();
    fleet.hubs = [
      hubOf({ doing: "idle", status: status && { ...status, problem: "The proxy wants a password." } }),
      hubOf({ hub_id: "100000001", name: "Porto", online: false, status: null }),
    ];
    open(fleet);
    const lisbon = within(await screen.findByRole("listitem", { name: "Hub Lisbon" }));
    expect(lisbon.getByText("idle")).toBeTruthy();
    expect(lisbon.getByText("The proxy wants a password.")).toBeTruthy();
    expect(lisbon.getByText("Version 1.3.0 is available.")).toBeTruthy();
    const porto = within(screen.getByRole("listitem", { name: "Hub Porto" }));
    expect(porto.getByText("offline")).toBeTruthy();
    expect(porto.getByText(/Last seen/)).toBeTruthy();
  });

  it("follows what changes by itself, and keeps showing the last state when the line is gone", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const fleet = new Fleet();
    fleet.hubs = [hubOf()];
    open(fleet);
    expect(await screen.findByText("in a meeting")).toBeTruthy();
    fleet.hubs = [hubOf({ doing: "presenting" })];
    await act(() => vi.advanceTimersByTimeAsync(4_000));
    expect(screen.getByText("presenting")).toBeTruthy();
    fleet.down = true;
    await act(() => vi.advanceTimersByTimeAsync(4_000));
    expect(screen.getByText("The server does not answer.")).toBeTruthy();
    expect(screen.getByText("presenting")).toBeTruthy();
  });

  it("shows how the box reaches the server", async () => {
    await manage();
    for (const words of ["through http://proxy.example:3128 · relay, tls", "HDMI-1 1920×1080", "2 hours"]) {
      expect(screen.getByText(words)).toBeTruthy();
    }
  });

  it("controls sound, screen and layout", async () => {
    const fleet = await manage();
    await userEvent.click(screen.getByLabelText("Sound off"));
    await userEvent.click(screen.getByLabelText("Screen on"));
    await userEvent.click(button("People"));
    expect(fleet.asked).toEqual([
      'PATCH /hubs/412907338 {"desired":{"muted":true}}',
      'PATCH /hubs/412907338 {"desired":{"screen_on":false}}',
      'PATCH /hubs/412907338 {"desired":{"layout":"people"}}',
    ]);
  });

  it("sends a hub to a room and out of it", async () => {
    const fleet = await manage();
    await userEvent.type(screen.getByLabelText("Send to a room"), "100 000 001");
    await userEvent.click(button("Send"));
    await userEvent.click(button("Leave the room"));
    await userEvent.click(button("Really leave"));
    expect(fleet.asked).toEqual([
      'PATCH /hubs/412907338 {"desired":{"room":"100000001"}}',
      'PATCH /hubs/412907338 {"desired":{"room":null}}',
    ]);
  });

  it("renames, sets the calendar, the language and when updates go in", async () => {
    const fleet = await manage();
    await userEvent.clear(screen.getByLabelText("Name"));
    await userEvent.type(screen.getByLabelText("Name"), "Porto");
    await userEvent.type(screen.getByLabelText(/Calendar address/), "https://cal.example/r.ics");
    const save = screen.getAllByRole("button", { name: "Save" });
    await userEvent.click(save[0] as HTMLElement);
    await userEvent.selectOptions(screen.getByLabelText("Language"), "de");
    await userEvent.selectOptions(screen.getByLabelText("Channel"), "beta");
    const window = screen.getByLabelText("Installs by itself between");
    await userEvent.type(window, "2 to 4");
    await userEvent.click(save[1] as HTMLElement);
    expect(window.getAttribute("aria-invalid")).toBe("true");
    await userEvent.clear(window);
    await userEvent.type(window, "02:00-04:00");
    await userEvent.click(save[1] as HTMLElement);
    expect(fleet.asked).toEqual([
      'PATCH /hubs/412907338 {"name":"Porto","calendar_url":"https://cal.example/r.ics"}',
      'PATCH /hubs/412907338 {"desired":{"locale":"de"}}',
      'PATCH /hubs/412907338 {"update":{"channel":"beta"}}',
      'PATCH /hubs/412907338 {"update":{"window":{"start":"02:00","end":"04:00"}}}',
    ]);
  });

  it("says what the network lacks and why, and checks it again", async () => {
    const fleet = new Fleet();
    fleet.hubs = [hubOf({ network: LIMITED })];
    fleet.details = {
      ...LIMITED,
      checks: [{ name: "udp-53", outcome: "blocked", ms: 2104.2, detail: "no answer over UDP" }],
    };
    fleet.command = { state: "done", detail: "degraded: UDP is blocked", file: null };
    open(fleet);
    expect(await screen.findByText("Network limited")).toBeTruthy();
    await userEvent.click(button("Manage: Lisbon"));
    expect(screen.getByText(/the daily one/)).toBeTruthy();
    // Once, though video and quality both want it; what was not looked at is left out.
    expect(screen.getAllByText(/UDP is blocked: video and voice use TLS/)).toHaveLength(1);
    expect(screen.queryByText("Direct calls")).toBeNull();
    await userEvent.click(screen.getByText("Everything that was tried"));
    expect(await screen.findByText("no answer over UDP")).toBeTruthy();
    expect(screen.getByText(/2104 ms/)).toBeTruthy();
    await userEvent.click(button("Check now"));
    expect(fleet.asked.at(-1)).toContain('"command":"check-network"');
    expect(await screen.findByText("degraded: UDP is blocked")).toBeTruthy();
  });

  it("says that what was found without a server is over", async () => {
    const fleet = new Fleet();
    const network = { ...LIMITED, reason: "unreachable" as const };
    fleet.hubs = [hubOf({ network })];
    await manage(fleet);
    expect(screen.getByText(/when it could not reach the server/)).toBeTruthy();
    expect(screen.getByText("It has reached the server since then.")).toBeTruthy();
    expect(screen.queryByText("Network limited")).toBeNull();
  });

  it("says that the network was never checked, and gives a host no button", async () => {
    const fleet = new Fleet();
    fleet.hubs = [hubOf()];
    open(fleet, false);
    await userEvent.click(await screen.findByRole("button", { name: "Manage: Lisbon" }));
    expect(screen.getByText("It has not checked its network yet.")).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Check now" })).toBeNull();
  });

  it("shows a screenshot when the box has sent one", async () => {
    const fleet = new Fleet();
    fleet.command = { state: "done", detail: null, file: "/api/v1/x" };
    await manage(fleet);
    await userEvent.click(button("Screenshot"));
    expect(await screen.findByRole("img", { name: "Screenshot of Lisbon" })).toBeTruthy();
    expect(fleet.asked).toEqual(['POST /hubs/412907338/commands {"command":"screenshot","arguments":{}}']);
  });

  it("says what the box answered when it could not", async () => {
    const fleet = new Fleet();
    fleet.command = { state: "failed", detail: "this hub has no screen", file: null };
    await manage(fleet);
    await userEvent.click(button("Screenshot"));
    expect(await screen.findByText("The hub says: this hub has no screen")).toBeTruthy();
  });

  it("installs and restarts only when asked twice", async () => {
    const fleet = await manage();
    await userEvent.click(button("Install update: Lisbon"));
    expect(fleet.asked).toEqual([]);
    await userEvent.click(button("Really install"));
    await waitFor(() => expect(button("Restart: Lisbon")).toHaveProperty("disabled", false));
    await userEvent.click(button("Restart: Lisbon"));
    await userEvent.click(button("Really restart"));
    await waitFor(() => expect(fleet.asked).toHaveLength(2));
    expect(fleet.asked[1]).toContain('"restart"');
  });

  it.each([
    ["installing", "Version 1.3.0 is being installed."],
    ["restart", "Version 1.3.0 is installed. The hub starts again with it."],
    [
      "taken-back",
      "Version 1.3.0 did not work on this hub and was taken back. Version 1.2.0 runs again. 1.0 MB to fetch.",
    ],
    ["failed", "Version 1.3.0 could not be installed. Version 1.2.0 runs as before. 1.0 MB to fetch."],
  ])("says how an update goes: %s", async (state, words) => {
    const fleet = new Fleet();
    const { status } = hubOf();
    const update = { state, available: "1.3.0", size: 1_048_576 };
    fleet.hubs = [hubOf({ status: status && { ...status, update } })];
    await manage(fleet);
    expect(screen.getByText(words)).toBeTruthy();
    const install = button(/^Install (again|update): Lisbon$/) as HTMLButtonElement;
    expect(install.disabled).toBe(state === "installing" || state === "restart");
  });

  it("watches an update as closely as who asked for it", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const fleet = new Fleet();
    fleet.command = { state: "waiting", detail: null, file: null };
    await manage(fleet);
    await userEvent.click(button("Install update: Lisbon"));
    await userEvent.click(button("Really install"));
    const { status } = hubOf();
    const update = { state: "installing", available: "1.3.0" };
    fleet.hubs = [hubOf({ doing: "updating", status: status && { ...status, update } })];
    await act(() => vi.advanceTimersByTimeAsync(1_000));
    expect(screen.getByText("updating")).toBeTruthy();
    expect(screen.getByText("Version 1.3.0 is being installed.")).toBeTruthy();
    // An installation may take longer than a screenshot.
    await act(() => vi.advanceTimersByTimeAsync(14 * 60_000));
    expect(screen.queryByText(/has not answered/)).toBeNull();
  });

  it("removes a hub when asked twice", async () => {
    const fleet = await manage();
    await userEvent.click(button("Remove hub: Lisbon"));
    await userEvent.click(button("Really remove"));
    expect(await screen.findByText(/the box on a meeting room's wall/)).toBeTruthy();
    expect(fleet.asked).toEqual(["DELETE /hubs/412907338"]);
  });

  it("gives a host what a host may do, and no more", async () => {
    const fleet = new Fleet();
    fleet.hubs = [hubOf()];
    open(fleet, false);
    await userEvent.click(await screen.findByRole("button", { name: "Manage: Lisbon" }));
    expect(screen.getByRole("button", { name: "Screenshot" })).toBeTruthy();
    for (const name of [/Restart/, /Remove/, /log/, /Make code/]) {
      expect(screen.queryByRole("button", { name })).toBeNull();
    }
  });
});

describe("words of hubs", () => {
  it.each([
    ["", null],
    ["02:00-04:00", { start: "02:00", end: "04:00" }],
    [" 22:30 – 05:15 ", { start: "22:30", end: "05:15" }],
    ["24:00-01:00", undefined],
    ["2-4", undefined],
  ])("a window: %s", (text, window) => expect(windowOf(text)).toEqual(window));
  it.each([
    [59, "0 minutes"],
    [61, "1 minute"],
    [7200, "2 hours"],
    [400_000, "4 days"],
  ])("a span: %i s", (seconds, words) => expect(spanWords(en, seconds)).toBe(words));
});
