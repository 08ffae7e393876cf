import type { CSSProperties } from "react";
import type { Person, Snapshot } from "../../session/api";
import { useText } from "../text";
import { Tile } from "../workspace/Tile";

interface WallPeopleProps {
  /** By attention. */
  people: readonly Person[];
  snapshot: Snapshot;
  most: number;
  className: "strip" | "grid";
}

/** The others on the wall, in a strip or over the whole canvas. */
export function WallPeople({ people, snapshot, most, className }: WallPeopleProps) {
  const t = useText();
  if (people.length === 0) return null;
  const shown = people.length > most ? people.slice(0, most - 1) : people;
  const media = new Map(snapshot.remote.map((entry) => [entry.personId, entry]));
  const reactionOf = (id: string) =>
    [...snapshot.reactions].reverse().find((reaction) => reaction.personId === id)?.emoji ?? null;
  // As square as it goes: 1, 2 side by side, 2x2, 3x2, 3x3, 4x3, 4x4.
  const cells = shown.length + (shown.length < people.length ? 1 : 0);
  const columns = Math.ceil(Math.sqrt(cells));
  return (
    <aside
      className={`wall-people ${className}`}
      aria-label={t.people.title}
      style={{ "--columns": columns, "--rows": Math.ceil(cells / columns) } as CSSProperties}
    >
      <ul>
        {shown.map((person) => (
          <Tile
            key={person.id}
            person={person}
            mine={false}
            stream={media.get(person.id)?.camera ?? null}
            micOn={person.mic}
            camOn={person.cam}
            reaction={reactionOf(person.id)}
          />
        ))}
        {shown.length < people.length && (
          <li className="tile more-people">{t.people.more(people.length - shown.length)}</li>
        )}
      </ul>
    </aside>
  );
}
