import { useId, useState } from "react";
import type { ReactNode } from "react";
import type { Hub } from "../../protocol/hub-types";
import type { Person, RoomHubs, RoomSession, Snapshot } from "../../session/api";
import { Icon } from "../parts/Icon";
import { colourIndex, initials } from "../parts/person";
import { useText } from "../text";
import { HubControl, useHubsHere } from "./HubControl";

interface PeoplePanelProps {
  session: RoomSession;
  snapshot: Snapshot;
}

/** Who is here and who waits; what a host may do about it. */
export function PeoplePanel({ session, snapshot }: PeoplePanelProps) {
  const t = useText();
  const [failed, setFailed] = useState(false);
  const hosting = snapshot.me?.role === "host";
  const { hubs, reload } = useHubsHere(session.hubs, snapshot.room?.hubId ?? null, hosting);
  /** The first seat of a box has its controls: one with several screens has several. */
  const hubOf = (person: Person) =>
    hubs.find(
      ({ hub_id }) => snapshot.people.find(({ hub }) => hub === hub_id)?.id === person.id,
    );
  const unseen = hubs.filter(({ hub_id }) => !snapshot.people.some(({ hub }) => hub === hub_id));
  const attempt = (work: Promise<void>) => {
    setFailed(false);
    work.catch(() => setFailed(true));
  };
  return (
    <div className="people">
      <p role="alert" className="form-problem">
        {failed ? t.people.failed : null}
      </p>
      {hosting && snapshot.lobby.length > 0 && (
        <section aria-label={t.people.waiting}>
          <h3>{t.people.waiting}</h3>
          <ul className="people-list">
            {snapshot.lobby.map((entry) => (
              <li key={entry.participantId} className="person waiting">
                <span className="person-name">
                  {entry.name}
                  {entry.hub !== undefined && <small className="person-role">{t.people.isHub}</small>}
                </span>
                <AdmitButtons
                  name={entry.name}
                  onAnswer={(admit) => attempt(session.admit(entry.participantId, admit))}
                />
              </li>
            ))}
          </ul>
        </section>
      )}
      <ul className="people-list" aria-label={t.people.title}>
        {snapshot.people.map((person) => (
          <PersonRow
            key={person.id}
            person={person}
            mine={person.id === snapshot.me?.id}
            onKick={
              hosting && person.id !== snapshot.me?.id
                ? () => attempt(session.kick(person.id))
                : null
            }
          >
            <HubPart hub={hubOf(person)} calls={session.hubs} reload={reload} />
          </PersonRow>
        ))}
        {unseen.map((hub) => (
          <li key={hub.hub_id} className="person">
            <span className="person-name">
              {hub.name}
              <small className="person-role">{t.hubs.inRoom}</small>
            </span>
            <HubPart hub={hub} calls={session.hubs} reload={reload} />
          </li>
        ))}
      </ul>
      {hosting && snapshot.room && (
        <section className="switches">
          <Switch
            label={t.people.lock}
            hint={t.people.lockHint}
            on={snapshot.room.locked}
            onChange={(on) => attempt(session.setLocked(on))}
          />
          <Switch
            label={t.people.lobby}
            hint={t.people.lobbyHint}
            on={snapshot.room.lobby}
            onChange={(on) => attempt(session.setLobby(on))}
          />
          <Switch
            label={t.people.moderated}
            hint={t.people.moderatedHint}
            on={snapshot.room.moderated ?? false}
            onChange={(on) => attempt(session.setModerated(on))}
          />
        </section>
      )}
    </div>
  );
}

interface HubPartProps {
  hub: Hub | undefined;
  calls: RoomHubs;
  reload: () => Promise<void>;
}

/** On the row of a hub: the button that opens its controls, and the controls. */
function HubPart({ hub, calls, reload }: HubPartProps) {
  const t = useText();
  const [open, setOpen] = useState(false);
  if (hub === undefined) return null;
  return (
    <>
      <button
        type="button"
        className="button"
        aria-expanded={open}
        aria-label={`${t.hubs.control}: ${hub.name}`}
        onClick={() => setOpen(!open)}
      >
        <Icon name="sliders" size="1.125rem" /> {t.hubs.control}
      </button>
      {open && <HubControl hub={hub} calls={calls} reload={reload} />}
    </>
  );
}

export function AdmitButtons({
  name,
  onAnswer,
}: {
  name: string;
  onAnswer: (admit: boolean) => void;
}) {
  const t = useText();
  return (
    <span className="row tight">
      <button
        type="button"
        className="button small primary"
        aria-label={t.people.admitName(name)}
        onClick={() => onAnswer(true)}
      >
        {t.people.admit}
      </button>
      <button
        type="button"
        className="button small"
        aria-label={t.people.refuseName(name)}
        onClick={() => onAnswer(false)}
      >
        {t.people.refuse}
      </button>
    </span>
  );
}

function PersonRow({
  person,
  mine,
  onKick,
  children,
}: {
  person: Person;
  mine: boolean;
  onKick: (() => void) | null;
  children?: ReactNode;
}) {
  const t = useText();
  const [asking, setAsking] = useState(false);
  return (
    <li className="person">
      <span className={`avatar person-${colourIndex(person.id)}`} aria-hidden="true">
        {initials(person.name)}
      </span>
      <span className="person-name">
        {person.name}
        {mine && <small> ({t.people.you})</small>}
        <small className="person-role">
          {t.people[person.role]}
          {person.hub !== undefined && ` · ${t.people.isHub}`}
          {person.screen && ` · ${t.people.presenting}`}
          {person.via === "xmpp" && ` · ${t.people.viaXmpp}`}
        </small>
      </span>
      {asking && onKick ? (
        <span className="row tight">
          <button type="button" className="button small danger" onClick={onKick}>
            {t.people.kickSure(person.name)}
          </button>
          <button type="button" className="button small" onClick={() => setAsking(false)}>
            {t.people.stay}
          </button>
        </span>
      ) : (
        <span className="person-marks">
          {person.hand && (
            <span role="img" aria-label={t.people.handUp} className="signal-mark">
              <Icon name="hand" size="1.125rem" />
            </span>
          )}
          {!person.mic && person.via === undefined && (
            <span role="img" aria-label={t.people.muted}>
              <Icon name="micOff" size="1.125rem" />
            </span>
          )}
          {onKick && (
            <button
              type="button"
              className="button quiet square"
              aria-label={t.people.kickName(person.name)}
              title={t.people.kick}
              onClick={() => setAsking(true)}
            >
              <Icon name="leave" size="1.125rem" />
            </button>
          )}
        </span>
      )}
      {children}
    </li>
  );
}

function Switch({
  label,
  hint,
  on,
  onChange,
}: {
  label: string;
  hint: string;
  on: boolean;
  onChange: (on: boolean) => void;
}) {
  const id = useId();
  return (
    <div className="switch-row">
      <span>
        <label htmlFor={id}>{label}</label>
        <small id={`${id}-hint`}>{hint}</small>
      </span>
      <button
        id={id}
        type="button"
        role="switch"
        className="switch"
        aria-checked={on}
        aria-describedby={`${id}-hint`}
        onClick={() => onChange(!on)}
      >
        <span aria-hidden="true" />
      </button>
    </div>
  );
}
