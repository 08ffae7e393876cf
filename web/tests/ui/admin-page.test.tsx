// @vitest-environment jsdom
import { cleanup, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import AdminPage from "../../src/ui/admin/AdminPage";
import { show } from "../support/page";

vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));

const account = { name: "ada", admin: true, created_at: 0 };
const room = {
  hub_id: "412907338",
  name: "Blue",
  pin: "6158",
  join_url: "https://hub.example.org/join/412907338#pin=6158",
  alias: null,
  locked: false,
  lobby: false,
  owner: "ada",
  created_at: 0,
  closed_at: null as number | null,
};

/** A server of a few calls; what it was asked is in `calls`. */
function serve(answers: Record<string, [number, unknown]>) {
  const calls: string[] = [];
  vi.stubGlobal("fetch", async (url: string, { method, body }: RequestInit) => {
    const key = `${method} ${url.replace("/api/v1", "")}`;
    calls.push(body ? `${key} ${String(body)}` : key);
    const [status, answer] = answers[key] ?? [404, { status: 404, title: "Not found" }];
    return new Response(status === 204 ? null : JSON.stringify(answer), { status });
  });
  return calls;
}

const DESK = {
  "GET /rooms": [200, { rooms: [room] }],
  "GET /users": [200, { users: [account] }],
} satisfies Record<string, [number, unknown]>;

beforeEach(() => sessionStorage.clear());
afterEach(() => {
  cleanup();
  history.replaceState(null, "", "/");
});

describe("administration", () => {
  it("makes the first administrator with the one-time code", async () => {
    const user = userEvent.setup();
    const calls = serve({ ...DESK, "POST /setup": [201, { token: "t", expires_at: 9, account }] });
    show(<AdminPage setupCode="C0DE" />);
    await user.type(screen.getByLabelText("Name"), "ada");
    await user.type(screen.getByLabelText("Password"), "engine no. 1");
    await user.type(screen.getByLabelText("Password again"), "engine no. 2");
    await user.click(screen.getByRole("button", { name: "Make administrator" }));
    expect(screen.getByRole("alert").textContent).toMatch(/differ/);
    expect(calls).toEqual([]);
    await user.clear(screen.getByLabelText("Password again"));
    await user.type(screen.getByLabelText("Password again"), "engine no. 1");
    await user.click(screen.getByRole("button", { name: "Make administrator" }));
    expect(await screen.findByText("412 907 338")).toBeTruthy();
    expect(JSON.parse(calls[0]?.replace("POST /setup ", "") ?? "")).toEqual({
      code: "C0DE",
      name: "ada",
      password: "engine no. 1",
    });
  });

  it("says that name or password is wrong without saying which", async () => {
    const user = userEvent.setup();
    serve({ "POST /sessions": [401, { status: 401, title: "Unauthorized" }] });
    show(<AdminPage setupCode={null} />);
    await user.type(screen.getByLabelText("Name"), "ada");
    await user.type(screen.getByLabelText("Password"), "nonsense");
    await user.click(screen.getByRole("button", { name: "Log in" }));
    expect((await screen.findByText("Name or password is wrong.")).getAttribute("role")).toBe(
      "alert",
    );
  });

  it("shows, makes and closes rooms", async () => {
    const user = userEvent.setup();
    const answers: Record<string, [number, unknown]> = {
      ...DESK,
      "POST /sessions": [201, { token: "t", expires_at: 9, account }],
      "POST /rooms": [201, room],
      "POST /rooms/412907338/close": [200, { ...room, closed_at: 5 }],
    };
    const calls = serve(answers);
    show(<AdminPage setupCode={null} />);
    await user.type(screen.getByLabelText("Name"), "ada");
    await user.type(screen.getByLabelText("Password"), "engine no. 1");
    await user.click(screen.getByRole("button", { name: "Log in" }));
    const card = within(await screen.findByRole("listitem", { name: "Details of Blue" }));
    expect(card.getByText("6158")).toBeTruthy();
    expect(card.getByRole("link").getAttribute("href")).toBe(room.join_url);
    await user.type(screen.getByLabelText("Room name"), "Green");
    await user.click(screen.getByRole("button", { name: "Create" }));
    await waitFor(() => expect(calls).toContain('POST /rooms {"name":"Green"}'));
    answers["GET /rooms"] = [200, { rooms: [{ ...room, closed_at: 5 }] }];
    await user.click(screen.getByRole("button", { name: "Close room" }));
    expect(await screen.findByRole("button", { name: "Reopen" })).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Enter" })).toBeNull();
  });

  it("goes back to the door when the session has run out", async () => {
    sessionStorage.setItem("mosaic.admin", "old");
    const me = { name: "ada", account: "ada", admin: true };
    serve({ "GET /me": [200, me], "GET /rooms": [401, {}], "GET /users": [401, {}] });
    show(<AdminPage setupCode={null} />);
    expect(await screen.findByText(/session has run out/)).toBeTruthy();
    expect(sessionStorage.getItem("mosaic.admin")).toBeNull();
  });

  it("imports an archive and shows the new room", async () => {
    const user = userEvent.setup();
    sessionStorage.setItem("mosaic.admin", "t");
    const calls = serve({
      ...DESK,
      "GET /me": [200, { name: "ada", account: "ada", admin: true }],
      "POST /imports": [201, { ...room, name: "Red" }],
    });
    show(<AdminPage setupCode={null} />);
    await user.click(await screen.findByText("Import a room"));
    const archive = new File(["PK"], "red.zip", { type: "application/zip" });
    await user.upload(screen.getByLabelText("Archive"), archive);
    await user.click(screen.getByRole("button", { name: "Import" }));
    expect(await screen.findByText("Imported: Red")).toBeTruthy();
    expect(calls.filter((call) => call.startsWith("GET /rooms"))).toHaveLength(2);
  });

  it("says why an archive was not taken", async () => {
    const user = userEvent.setup();
    sessionStorage.setItem("mosaic.admin", "t");
    serve({
      ...DESK,
      "GET /me": [200, { name: "ada", account: "ada", admin: true }],
      "POST /imports": [422, { status: 422, title: "x", detail: "this is no whole ZIP archive" }],
    });
    show(<AdminPage setupCode={null} />);
    await user.click(await screen.findByText("Import a room"));
    await user.upload(screen.getByLabelText("Archive"), new File(["x"], "x.zip"));
    await user.click(screen.getByRole("button", { name: "Import" }));
    expect(await screen.findByText(/no whole ZIP archive/)).toBeTruthy();
  });
});
