import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RestClient } from "../../src/protocol/rest";
import { ExportFailed, exportRoom } from "../../src/session/room-export";

const HUB = "412907338";
const calls: string[] = [];
let states: object[] = [];

const rest = new RestClient({
  origin: "",
  token: "t",
  fetch: (url, init) => {
    const call = `${init?.method} ${String(url).replace(`/api/v1/rooms/${HUB}/exports`, "")}`;
    calls.push(call);
    if (call === "DELETE /e1") return Promise.resolve(new Response(null, { status: 204 }));
    if (call === "GET /e1/archive") return Promise.resolve(new Response("zip"));
    const state = { export_id: "e1", progress: 0, detail: "", ...states.shift() };
    return Promise.resolve(new Response(JSON.stringify(state)));
  },
});

beforeEach(() => {
  calls.length = 0;
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

describe("the export of a room", () => {
  it("waits for the archive, fetches it and lets the server forget it", async () => {
    states = [{ state: "waiting" }, { state: "running", progress: 0.4 }, { state: "ready" }];
    const told: number[] = [];
    const archive = exportRoom(rest, HUB, (at) => told.push(at), new AbortController().signal);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await (await archive).text()).toBe("zip");
    expect(told).toEqual([0, 0.4, 1]);
    expect(calls).toEqual(["POST ", "GET /e1", "GET /e1", "GET /e1/archive", "DELETE /e1"]);
  });

  it("tells why the server could not", async () => {
    states = [{ state: "failed", detail: "the disk is full" }];
    const failed = exportRoom(rest, HUB, () => {}, new AbortController().signal);
    await expect(failed).rejects.toThrow(new ExportFailed("the disk is full"));
  });

  it("is taken back at the server too", async () => {
    states = [{ state: "running" }];
    const control = new AbortController();
    const failed = exportRoom(rest, HUB, () => {}, control.signal);
    const caught = expect(failed).rejects.toThrow();
    await vi.advanceTimersByTimeAsync(100);
    control.abort();
    await caught;
    expect(calls).toEqual(["POST ", "DELETE /e1"]);
  });
});
