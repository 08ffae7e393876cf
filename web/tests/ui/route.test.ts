import { describe, expect, it } from "vitest";
import { groupHubId, routeOf } from "../../src/ui/parts/route";

const at = (pathname: string, hash = "") => routeOf({ pathname, hash });

describe("the address", () => {
  it("brings a room and its PIN from an invitation", () => {
    expect(at("/join/412907338", "#pin=6158")).toEqual({
      page: "join",
      hubId: "412907338",
      pin: "6158",
      token: null,
    });
  });
  it("takes a token from the fragment", () => {
    expect(at("/join/412907338", "#token=abc%2Bd")).toMatchObject({ token: "abc+d" });
  });
  it("opens the join page for whatever is unknown", () => {
    for (const path of ["/", "/nothing", "/join"]) {
      expect(at(path)).toMatchObject({ page: "join", hubId: "" });
    }
  });
  it("knows the other pages", () => {
    expect(at("/netcheck", "#r=1.2.3")).toEqual({ page: "netcheck", shared: "1.2.3" });
    expect(at("/present", "#id=412907338&pin=1")).toEqual({
      page: "present",
      hubId: "412907338",
      pin: "1",
    });
    expect(at("/admin", "#setup=C0DE")).toEqual({ page: "admin", setupCode: "C0DE" });
    expect(at("/admin")).toEqual({ page: "admin", setupCode: null });
    expect(at("/hub")).toMatchObject({ page: "hub" });
  });
  it("reads digits only, nine at most", () => {
    expect(at("/join/412-907-338-99")).toMatchObject({ hubId: "412907338" });
  });
});

describe("a Hub ID as it is read aloud", () => {
  it.each([
    ["", ""],
    ["412", "412"],
    ["4129", "412 9"],
    ["412907338", "412 907 338"],
  ])("%s is %s", (digits, grouped) => expect(groupHubId(digits)).toBe(grouped));
});
