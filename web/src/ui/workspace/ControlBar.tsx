import type { RoomSession, Snapshot } from "../../session/api";
import { Icon } from "../parts/Icon";
import type { IconName } from "../parts/Icon";
import { Popover } from "../parts/Popover";
import { useText } from "../text";
import type { OwnDevices } from "./useOwnDevices";

const REACTIONS = ["👍", "👏", "🎉", "❤️", "😂", "🤔"] as const;

interface ControlBarProps {
  session: RoomSession;
  snapshot: Snapshot;
  devices: OwnDevices;
}

/** What a person does with their own voice, face, screen and hand. */
export function ControlBar({ session, snapshot, devices }: ControlBarProps) {
  const t = useText();
  const { local, me } = snapshot;
  const hand = me?.hand ?? false;
  return (
    <div className="controls" role="toolbar" aria-label={t.room.controls}>
      <Control
        icon={local.micOn ? "mic" : "micOff"}
        label={local.micOn ? t.controls.mute : t.controls.unmute}
        keys="M"
        off={!local.micOn}
        onClick={devices.toggleMic}
      />
      <Control
        icon={local.camOn ? "camera" : "cameraOff"}
        label={local.camOn ? t.controls.stopCamera : t.controls.startCamera}
        keys="V"
        off={!local.camOn}
        onClick={devices.toggleCamera}
      />
      {devices.canShareScreen && (
        <Control
          icon={local.screen ? "screenStop" : "screen"}
          label={local.screen ? t.controls.stopSharing : t.controls.shareScreen}
          lit={local.screen !== null}
          onClick={devices.toggleScreen}
        />
      )}
      <Control
        icon="hand"
        label={hand ? t.controls.lowerHand : t.controls.raiseHand}
        keys="H"
        lit={hand}
        onClick={() => session.setHand(!hand)}
      />
      <Popover
        label={t.controls.react}
        buttonLabel={t.controls.react}
        className="control"
        align="centre"
        side="above"
        button={<Icon name="smile" />}
      >
        {(close) => (
          <div className="reactions">
            {REACTIONS.map((emoji) => (
              <button
                key={emoji}
                type="button"
                className="reaction"
                aria-label={t.controls.reactWith(emoji)}
                onClick={() => {
                  session.react(emoji);
                  close();
                }}
              >
                {emoji}
              </button>
            ))}
          </div>
        )}
      </Popover>
      <button type="button" className="control leave" onClick={() => session.leave()}>
        <Icon name="leave" />
        <span>{t.controls.leave}</span>
      </button>
    </div>
  );
}

interface ControlProps {
  icon: IconName;
  label: string;
  keys?: string;
  off?: boolean;
  lit?: boolean;
  onClick: () => void;
}

/** The label names what the button will do, so it changes instead of being "pressed". */
function Control({ icon, label, keys, off = false, lit = false, onClick }: ControlProps) {
  return (
    <button
      type="button"
      className={`control ${off ? "off" : ""} ${lit ? "lit" : ""}`}
      aria-label={label}
      aria-keyshortcuts={keys ? `${keys} Alt+${keys}` : undefined}
      title={keys ? `${label} (${keys})` : label}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
