import { Suspense, lazy, useState } from "react";
import type { FormEvent } from "react";
import type { RestClient } from "../../protocol/rest";
import type { Room } from "../../protocol/rest-types";
import { CopyButton } from "../parts/CopyButton";
import { Field } from "../parts/Field";
import { groupHubId } from "../parts/route";
import { useText } from "../text";
import { ImportForm } from "./ImportForm";
import { useListed } from "./useListed";

const QrCode = lazy(() => import("../parts/QrCode").then((m) => ({ default: m.QrCode })));

interface SectionProps {
  rest: RestClient;
  onRefused: (error: unknown) => void;
}

export function RoomsSection({ rest, onRefused }: SectionProps) {
  const t = useText();
  const { items, act } = useListed<Room>(() => rest.rooms(), onRefused);
  const [name, setName] = useState("");
  const create = (event: FormEvent) => {
    event.preventDefault();
    if (name.trim() === "") return;
    void act(() => rest.addRoom(name.trim())).then((done) => done && setName(""));
  };
  return (
    <section aria-labelledby="rooms">
      <h2 id="rooms">{t.admin.rooms}</h2>
      <form className="inline-form" onSubmit={create}>
        <Field
          label={t.admin.roomName}
          value={name}
          maxLength={80}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" className="button primary" disabled={name.trim() === ""}>
          {t.admin.create}
        </button>
      </form>
      <ImportForm rest={rest} act={act} onRefused={onRefused} />
      {items === null ? (
        <p>{t.loading}</p>
      ) : items.length === 0 ? (
        <p className="lead">{t.admin.noRooms}</p>
      ) : (
        <ul className="room-list">
          {items.map((room) => (
            <RoomCard key={room.hub_id} room={room} rest={rest} act={act} onRefused={onRefused} />
          ))}
        </ul>
      )}
    </section>
  );
}

interface RoomCardProps extends SectionProps {
  room: Room;
  act: (work: () => Promise<unknown>) => Promise<boolean>;
}

function RoomCard({ room, rest, act, onRefused }: RoomCardProps) {
  const t = useText();
  const [qr, setQr] = useState(false);
  const closed = room.closed_at !== null;
  const enter = async () => {
    // Opened at once, within the click, so that no blocker stops it.
    const tab = window.open("", "_blank");
    try {
      const { token } = await rest.addToken(room.hub_id, { role: "host" });
      const address = `/join/${room.hub_id}#token=${encodeURIComponent(token)}`;
      if (tab) tab.location.href = address;
      else location.href = address;
    } catch (error) {
      tab?.close();
      onRefused(error);
    }
  };
  return (
    <li className={`card room-card ${closed ? "closed" : ""}`} aria-label={t.admin.details(room.name)}>
      <div className="room-card-main">
        <h3>
          {room.name} {closed && <span className="tag">{t.admin.closed}</span>}
        </h3>
        <dl className="room-numbers">
          <div>
            <dt>{t.join.hubId}</dt>
            <dd>{groupHubId(room.hub_id)}</dd>
          </div>
          {room.pin && (
            <div>
              <dt>{t.join.pin}</dt>
              <dd>{room.pin}</dd>
            </div>
          )}
        </dl>
        <p className="room-link">
          <a href={room.join_url}>{room.join_url}</a>
        </p>
        <div className="row">
          {!closed && (
            <button type="button" className="button primary" onClick={() => void enter()}>
              {t.admin.openRoom}
            </button>
          )}
          <CopyButton text={room.join_url} label={t.room.copyLink} />
          <button type="button" className="button" aria-expanded={qr} onClick={() => setQr(!qr)}>
            {qr ? t.admin.hideQr : t.admin.showQr}
          </button>
          <button
            type="button"
            className="button"
            onClick={() => void act(() => rest.rotatePin(room.hub_id))}
          >
            {t.admin.rotatePin}
          </button>
          <button
            type="button"
            className="button"
            onClick={() => void act(() => rest.setRoomClosed(room.hub_id, !closed))}
          >
            {closed ? t.admin.reopenRoom : t.admin.closeRoom}
          </button>
        </div>
      </div>
      {qr && (
        <Suspense fallback={null}>
          <QrCode text={room.join_url} label={t.admin.qr(room.name)} />
        </Suspense>
      )}
    </li>
  );
}
