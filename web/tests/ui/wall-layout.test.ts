import { describe, expect, it } from "vitest";
import { byAttention, hasStrip, wallView } from "../../src/ui/hub/layout";
import { ada, bert, person } from "../support/fake-session";

const facts = {
  layout: "auto" as const,
  presenting: false,
  pictures: false,
  boardEmpty: false,
  screen: 1,
  screens: 1,
};

describe("what a wall shows", () => {
  it("obeys a layout that somebody chose, on every screen", () => {
    for (const screen of [1, 2]) {
      const two = { ...facts, screen, screens: 2, presenting: true };
      expect(wallView({ ...two, layout: "board" })).toBe("board");
      expect(wallView({ ...two, layout: "people" })).toBe("people");
      expect(wallView({ ...two, layout: "screen" })).toBe("screen");
    }
  });
  it("shows the whiteboard where a shared screen is wanted and there is none", () => {
    expect(wallView({ ...facts, layout: "screen" })).toBe("board");
  });
  it("by itself: what is shared, else the whiteboard, else the people", () => {
    expect(wallView({ ...facts, presenting: true, pictures: true, boardEmpty: true })).toBe("screen");
    expect(wallView({ ...facts, pictures: true })).toBe("board");
    expect(wallView({ ...facts, pictures: true, boardEmpty: true })).toBe("people");
    expect(wallView({ ...facts, boardEmpty: true })).toBe("board");
  });
  it("by itself with two screens: the work on the first, the people on the second", () => {
    const two = { ...facts, screens: 2, pictures: true, boardEmpty: true };
    expect(wallView(two)).toBe("board");
    expect(wallView({ ...two, presenting: true })).toBe("screen");
    expect(wallView({ ...two, screen: 2, presenting: true })).toBe("people");
    expect(hasStrip("board", two)).toBe(false);
    expect(hasStrip("board", { ...two, layout: "board" })).toBe(true);
    expect(hasStrip("board", facts)).toBe(true);
    expect(hasStrip("people", facts)).toBe(false);
  });
});

describe("attention", () => {
  const cleo = person("c", "Cleo");
  const dan = person("d", "Dan", { hand: true });
  it("goes to raised hands, then to who spoke last, then by time of joining", () => {
    const people = [ada, bert, cleo, dan];
    const order = (spoken: [string, number][]) =>
      byAttention(people, ada, new Map(spoken)).map(({ name }) => name);
    expect(order([])).toEqual(["Dan", "Bert Moor", "Cleo"]);
    expect(order([["c", 5], [bert.id, 4]])).toEqual(["Dan", "Cleo", "Bert Moor"]);
  });
  it("leaves out chat alone, the other screens of the same box, and silent ones of others", () => {
    const me = person("me", "Lisbon", { role: "host", hub: "412907338" });
    const second = person("me2", "Lisbon", { hub: "412907338" });
    const porto = person("p", "Porto", { hub: "100000001" });
    const further = person("p2", "Porto", { hub: "100000001", mic: false, cam: false });
    const namesake = person("x", "Lisbon", { role: "host", mic: false, cam: false });
    const xmpp = person("y", "Xena", { via: "xmpp" });
    const people = [me, second, namesake, xmpp, further, porto];
    expect(byAttention(people, me, new Map())).toEqual([namesake, porto]);
    // A box that is muted and dark is still in the room, once.
    const muted = person("p", "Porto", { hub: "100000001", mic: false, cam: false });
    expect(byAttention([me, further, muted], me, new Map())).toEqual([further]);
  });
});
