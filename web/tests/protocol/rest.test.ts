import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NetworkError, ProblemError, RestClient } from "../../src/protocol";

type Fetch = typeof fetch;
let answer: (url: string, init: RequestInit) => Promise<Response>;
const calls: { url: string; init: RequestInit }[] = [];
const fake: Fetch = (url, init = {}) => {
  calls.push({ url: String(url), init });
  return answer(String(url), init);
};
const rest = new RestClient({ origin: "https://hub.test", fetch: fake, token: "t" });
const json = (status: number, body: object, headers = {}) =>
  Promise.resolve(new Response(JSON.stringify(body), { status, headers }));

beforeEach(() => {
  calls.length = 0;
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the REST client", () => {
  it("sends the token in the header, never a cookie, never in the query", async () => {
    answer = () => json(200, { rooms: [] });
    await rest.rooms();
    const [call] = calls;
    expect(call?.url).toBe("https://hub.test/api/v1/rooms");
    expect(new Headers(call?.init.headers).get("Authorization")).toBe("Bearer t");
    expect(call?.init.credentials).toBe("omit");
  });

  it("escapes what goes into paths", async () => {
    answer = () => Promise.resolve(new Response(null, { status: 204 }));
    await rest.removeUser("a/../b c");
    expect(calls[0]?.url).toBe("https://hub.test/api/v1/users/a%2F..%2Fb%20c");
  });

  it("leaves the PIN out for members", async () => {
    answer = () => json(200, {});
    await rest.join("412907338", "Ada", null);
    expect(calls[0]?.init.body).toBe('{"name":"Ada"}');
  });

  it("turns a problem document into an error", async () => {
    answer = () =>
      json(429, {
        type: "about:blank",
        title: "Too Many Requests",
        status: 429,
        detail: "wait",
        retry_after_s: 12,
      });
    const error = await rest.logIn("a", "b").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ProblemError);
    expect(error).toMatchObject({ status: 429, retryAfterS: 12, message: "wait" });
  });

  it("reads Retry-After as seconds and as a date", async () => {
    vi.setSystemTime(new Date("2026-01-01T00:00:00Z"));
    answer = () => json(503, {}, { "Retry-After": "7" });
    await expect(rest.me()).rejects.toMatchObject({ retryAfterS: 7 });
    const date = "Thu, 01 Jan 2026 00:00:30 GMT";
    answer = () => json(503, {}, { "Retry-After": date });
    await expect(rest.me()).rejects.toMatchObject({ retryAfterS: 30 });
  });

  it("survives a proxy's HTML page", async () => {
    answer = () => Promise.resolve(new Response("<h1>Bad", { status: 502 }));
    await expect(rest.me()).rejects.toMatchObject({ status: 502 });
  });

  it("tells no answer from a refusal", async () => {
    answer = () => Promise.reject(new TypeError("failed to fetch"));
    const error = await rest.me().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NetworkError);
    expect(error).toMatchObject({ timedOut: false });
  });

  it("aborts at the deadline", async () => {
    answer = (_url, init) =>
      new Promise((_resolve, reject) => {
        init.signal?.addEventListener("abort", () => reject(new Error("abort")));
      });
    const call = rest.me().catch((caught: unknown) => caught);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await call).toMatchObject({ timedOut: true });
  });

  it("sends a file with its own type", async () => {
    answer = () => json(201, { sha256: "ab" });
    const blob = new Blob(["x"], { type: "image/png" });
    expect(await rest.uploadBlob("412907338", blob)).toEqual({ sha256: "ab" });
    const headers = new Headers(calls[0]?.init.headers);
    expect(headers.get("Content-Type")).toBe("image/png");
    expect(calls[0]?.init.body).toBe(blob);
  });
});
