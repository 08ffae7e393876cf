import type { Person } from "../../session/api";
import { useText } from "../text";
import { useSpeaking } from "../media/level";
import { StreamVideo } from "../media/StreamVideo";
import { Icon } from "../parts/Icon";
import { colourIndex, initials } from "../parts/person";

interface TileProps {
  person: Person;
  stream: MediaStream | null;
  mine: boolean;
  micOn: boolean;
  camOn: boolean;
  reaction: string | null;
}

/** One person: picture or initials, name, and what they do at the moment. */
export function Tile({ person, stream, mine, micOn, camOn, reaction }: TileProps) {
  const t = useText();
  const speaking = useSpeaking(stream, micOn);
  const hasVideo = camOn && stream !== null && stream.getVideoTracks().length > 0;
  const name = mine ? `${person.name} (${t.people.you})` : person.name;
  return (
    <li className={`tile ${speaking ? "speaking" : ""} person-${colourIndex(person.id)}`}>
      {hasVideo ? (
        <StreamVideo stream={stream} label={name} mirrored={mine} />
      ) : (
        <span className="tile-initials" aria-hidden="true">
          {initials(person.name)}
        </span>
      )}
      <span className="tile-name">
        {!micOn && (
          <span className="tile-muted" role="img" aria-label={t.people.muted}>
            <Icon name="micOff" size="0.875rem" />
          </span>
        )}
        <span>{name}</span>
      </span>
      {person.hand && (
        <span className="tile-hand" role="img" aria-label={t.people.handUp}>
          <Icon name="hand" size="1.125rem" />
        </span>
      )}
      {reaction && (
        <span className="tile-reaction" aria-hidden="true">
          {reaction}
        </span>
      )}
    </li>
  );
}
