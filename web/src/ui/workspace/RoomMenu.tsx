import type { RoomInfo } from "../../session/api";
import { CopyButton } from "../parts/CopyButton";
import { Icon } from "../parts/Icon";
import { LanguagePicker, ThemeToggle } from "../parts/PageHead";
import { Popover } from "../parts/Popover";
import { groupHubId } from "../parts/route";
import { useText } from "../text";

interface RoomMenuProps {
  room: RoomInfo;
  pin: string;
  onVersions: () => void;
  onDevices: () => void;
  onShortcuts: () => void;
  onExport: () => void;
}

/** The link that brings someone here; with the PIN, in the fragment, if we know it. */
export function joinLink(hubId: string, pin: string, origin = location.origin): string {
  return `${origin}/join/${hubId}${pin ? `#pin=${encodeURIComponent(pin)}` : ""}`;
}

/** The room's name opens how to get in, and the settings of this page. */
export function RoomMenu({
  room,
  pin,
  onVersions,
  onDevices,
  onShortcuts,
  onExport,
}: RoomMenuProps) {
  const t = useText();
  return (
    <Popover
      label={t.room.menu}
      className="button quiet room-name"
      button={
        <>
          <span className="room-title">{room.name}</span>
          {room.locked && (
            <span role="img" aria-label={t.room.lockedMark}>
              <Icon name="lock" size="1rem" />
            </span>
          )}
          <Icon name="down" size="1.125rem" />
        </>
      }
    >
      {(close) => (
        <>
          <dl className="room-numbers">
            <div>
              <dt>{t.join.hubId}</dt>
              <dd>{groupHubId(room.hubId)}</dd>
            </div>
            <div>
              <dt>{t.join.pin}</dt>
              <dd className={pin ? "" : "unknown"}>{pin || t.room.pinUnknown}</dd>
            </div>
          </dl>
          <CopyButton text={joinLink(room.hubId, pin)} label={t.room.copyLink} />
          {pin && <p className="field-hint">{t.room.linkWithPin}</p>}
          <hr />
          <button
            type="button"
            className="menu-item"
            onClick={() => {
              close();
              onVersions();
            }}
          >
            <Icon name="history" /> {t.versions.title}
          </button>
          <button
            type="button"
            className="menu-item"
            onClick={() => {
              close();
              onDevices();
            }}
          >
            <Icon name="sliders" /> {t.devices.title}
          </button>
          <button
            type="button"
            className="menu-item"
            onClick={() => {
              close();
              onShortcuts();
            }}
          >
            <Icon name="keyboard" /> {t.room.shortcuts}
          </button>
          <button
            type="button"
            className="menu-item"
            onClick={() => {
              close();
              onExport();
            }}
          >
            <Icon name="download" /> {t.export.menu}
          </button>
          <div className="row between">
            <LanguagePicker />
            <ThemeToggle />
          </div>
        </>
      )}
    </Popover>
  );
}
