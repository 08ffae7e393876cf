import { useEffect, useState } from "react";
import type { Snapshot } from "../../session/api";
import { isFurtherScreen } from "../parts/person";
import { useText } from "../text";
import { Tile } from "./Tile";

const NARROW = 760;

/** How many tiles the window has room for: a column on a wide page, a row on a phone. */
function roomForTiles(): number {
  if (innerWidth < NARROW) return 12; // the row scrolls
  return Math.max(2, Math.floor((innerHeight - 250) / 112));
}

function useRoomForTiles(): { most: number; scrolls: boolean } {
  const measured = () => ({ most: roomForTiles(), scrolls: innerWidth < NARROW });
  const [room, setRoom] = useState(measured);
  useEffect(() => {
    const measure = () => setRoom(measured());
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);
  return room;
}

/** Everyone who can be seen or heard, those with raised hands first after me. */
export function VideoStrip({ snapshot, onMore }: { snapshot: Snapshot; onMore: () => void }) {
  const t = useText();
  const { most, scrolls } = useRoomForTiles();
  const { me, people, remote, local, reactions } = snapshot;
  const rest = people.filter(
    (person) =>
      person.id !== me?.id && person.via === undefined && !isFurtherScreen(person, people),
  );
  const ordered = [
    ...people.filter((person) => person.id === me?.id),
    ...rest.filter((person) => person.hand),
    ...rest.filter((person) => !person.hand),
  ];
  const shown = ordered.length > most ? ordered.slice(0, most - 1) : ordered;
  const media = new Map(remote.map((entry) => [entry.personId, entry]));
  const reactionOf = (id: string) =>
    [...reactions].reverse().find((reaction) => reaction.personId === id)?.emoji ?? null;
  return (
    <aside className="strip" aria-label={t.people.title} tabIndex={scrolls ? 0 : undefined}>
      <ul>
        {shown.map((person) => {
          const mine = person.id === me?.id;
          return (
            <Tile
              key={person.id}
              person={person}
              mine={mine}
              stream={mine ? local.camera : (media.get(person.id)?.camera ?? null)}
              micOn={mine ? local.micOn : person.mic}
              camOn={mine ? local.camOn : person.cam}
              reaction={reactionOf(person.id)}
            />
          );
        })}
        {shown.length < ordered.length && (
          <li className="tile more">
            <button
              type="button"
              aria-label={t.people.more(ordered.length - shown.length)}
              onClick={onMore}
            >
              +{ordered.length - shown.length}
            </button>
          </li>
        )}
      </ul>
    </aside>
  );
}
