/** How a person looks: stable colour and initials; and who is no face of their own. */
import type { Person } from "../../session/api";

/** A further screen of a room box, with nothing to see or hear: its first one stands for the room. */
export function isFurtherScreen(person: Person, people: readonly Person[]): boolean {
  if (person.hub === undefined || person.mic || person.cam) return false;
  const seats = people.filter(({ hub }) => hub === person.hub);
  const face = seats.find(({ mic, cam }) => mic || cam) ?? seats[0];
  return face?.id !== person.id;
}

const COLOURS = 8;

/** A stable place in the palette for an identifier. */
export function colourIndex(id: string): number {
  let hash = 2166136261;
  for (let i = 0; i < id.length; i++) {
    hash = Math.imul(hash ^ id.charCodeAt(i), 16777619);
  }
  return (hash >>> 0) % COLOURS;
}

/** For canvas and carets, which need a plain value; the same palette as in tokens.css. */
const PLAIN = [
  "#0f6b66",
  "#a34a00",
  "#3457a6",
  "#8b3a76",
  "#5c6b00",
  "#7a4b2a",
  "#0a6a94",
  "#5a4aa8",
] as const;

export function plainColour(id: string): string {
  return PLAIN[colourIndex(id)] ?? PLAIN[0];
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const first = [...(words[0] ?? "")][0] ?? "?";
  const last = words.length > 1 ? ([...(words[words.length - 1] ?? "")][0] ?? "") : "";
  return (first + last).toUpperCase();
}
