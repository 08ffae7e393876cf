/** What each screen of a wall shows (docs/hub-screen.md). */
import type { HubLayout } from "../../protocol/hub-types";
import type { Person } from "../../session/api";
import { isFurtherScreen } from "../parts/person";

export type WallView = "board" | "people" | "screen";

interface WallFacts {
  layout: HubLayout;
  /** Somebody shares a screen. */
  presenting: boolean;
  /** Somebody else can be seen. */
  pictures: boolean;
  boardEmpty: boolean;
  /** This screen, and how many the box has; from 1. */
  screen: number;
  screens: number;
}

/**
 * By itself, the first screen shows what is shared, else the whiteboard; while
 * nothing is drawn a lone screen shows the people instead. Every other screen
 * shows the people.
 */
export function wallView(facts: WallFacts): WallView {
  const { layout, presenting, pictures, boardEmpty, screen, screens } = facts;
  switch (layout) {
    case "board":
    case "people":
      return layout;
    case "screen":
      return presenting ? "screen" : "board";
    case "auto":
      if (screen > 1) return "people";
      if (presenting) return "screen";
      return screens === 1 && boardEmpty && pictures ? "people" : "board";
  }
}

/** The strip is not needed where another screen shows the people. */
export function hasStrip(view: WallView, { layout, screens }: Pick<WallFacts, "layout" | "screens">): boolean {
  return view !== "people" && !(layout === "auto" && screens > 1);
}

/**
 * The others, by attention: raised hands, then who spoke last, then by time of
 * joining. spoken: person to when they spoke last. Other screens of this very box
 * are this room, and further ones of another box show nothing.
 */
export function byAttention(
  people: readonly Person[],
  me: Person | null,
  spoken: ReadonlyMap<string, number>,
): Person[] {
  const others = people.filter(
    (person) =>
      person.id !== me?.id &&
      person.via === undefined &&
      !(person.hub !== undefined && person.hub === me?.hub) &&
      !isFurtherScreen(person, people),
  );
  const weight = (person: Person) => (person.hand ? Infinity : (spoken.get(person.id) ?? 0));
  return others
    .map((person, at) => ({ person, at, weight: weight(person) }))
    .sort((one, other) => (one.weight === other.weight ? one.at - other.at : other.weight - one.weight))
    .map(({ person }) => person);
}
