import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { JoinError, joinRoom } from "../../src/session";
import { environment, pass, type TestEnvironment } from "./support/meeting";
import { HUB, MiniServer } from "./support/mini-server";

let server: MiniServer;
let around: TestEnvironment;
const request = { hubId: HUB, pin: "6158", name: "Ada" };
const join = () => joinRoom(request, {}, around);
const problem = async () => {
  const error = await join().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(JoinError);
  return (error as JoinError).problem;
};
const answer = (status: number, body: object = {}) => {
  around.answers[`POST /rooms/${HUB}/join`] = { status, body };
};

beforeEach(() => {
  vi.useFakeTimers();
  server = new MiniServer();
  around = environment(server);
});
afterEach(() => {
  vi.useRealTimers();
});

describe("joining", () => {
  it("enters with the token that Hub ID and PIN gave", async () => {
    server.account("fresh");
    answer(200, { token: "fresh" });
    const session = await join();
    await pass(50);
    expect(session.snapshot().me?.id).toBe("p-fresh");
    expect(around.requests[0]?.body).toEqual({ name: "Ada", pin: "6158" });
    session.leave();
  });

  it.each([401, 403, 404])("calls %i wrong, and does not say which", async (status) => {
    answer(status);
    expect(await problem()).toEqual({ kind: "wrong" });
  });

  it("says how long to wait", async () => {
    answer(429, { retry_after_s: 17 });
    expect(await problem()).toEqual({ kind: "later", retryAfterS: 17 });
  });

  it.each(["locked", "closed"])("tells a %s room", async (reason) => {
    answer(423, { reason });
    expect(await problem()).toEqual({ kind: "unavailable", reason });
  });

  it("passes on what is wrong with a name", async () => {
    answer(422, { detail: "the name is too long" });
    expect(await problem()).toEqual({
      kind: "invalid",
      detail: "the name is too long",
    });
  });

  it("tells a missing network", async () => {
    const offline = { ...around, fetch: () => Promise.reject(new TypeError()) };
    await expect(joinRoom(request, {}, offline)).rejects.toMatchObject({
      problem: { kind: "network" },
    });
  });
});
