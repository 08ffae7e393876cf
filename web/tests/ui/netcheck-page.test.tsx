// @vitest-environment jsdom
import { cleanup, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import NetcheckPage from "../../src/ui/netcheck/NetcheckPage";
import { show } from "../support/page";

vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));
afterEach(cleanup);

const offline = {
  origin: "https://h",
  now: () => 0,
  wall: () => 0,
  fetch: async () => {
    throw new TypeError("no network");
  },
  openSocket: () => {
    throw new Error("no network");
  },
  createConnection: () => {
    throw new Error("not asked for");
  },
};

describe("the network check page", () => {
  it("says what is wrong and lets one check again", async () => {
    const user = userEvent.setup();
    show(<NetcheckPage shared={null} environment={offline} />);
    expect(await screen.findByText(/server does not answer/)).toBe(screen.getByRole("status"));
    expect(screen.getAllByText("does not get through")).toHaveLength(2);
    await user.click(screen.getByRole("button", { name: "Check again" }));
    await screen.findByText(/server does not answer/);
  });

  it("shows somebody's result without checking anything", () => {
    show(<NetcheckPage shared="1.1700000000.0.0.12.-1.1.0.30.-1.4.0.80.-1" />);
    expect(screen.getByText(/Somebody's result/)).toBeDefined();
    expect(screen.getByRole("status").textContent).toMatch(/UDP is blocked/);
    expect(screen.getByRole("button", { name: "Check from here" })).toBeDefined();
    expect(screen.queryByText("Places with relays")).toBeNull();
  });

  it("shows which place is nearest, and which is out of reach", () => {
    const rows = "100.0.80.0.101.2.-1.-1.102.0.12.2";
    show(<NetcheckPage shared={`1.1700000000.0.0.12.-1.1.0.30.-1.2.0.80.-1.${rows}`} />);
    const items = within(screen.getByRole("region", { name: "Places with relays" }));
    expect(items.getAllByRole("listitem").map(({ textContent }) => textContent)).toEqual([
      "This server 80 ms by UDP",
      "Place 2 does not get through",
      "Place 3 nearest12 ms by TLS",
    ]);
  });
});
