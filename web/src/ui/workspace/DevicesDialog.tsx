import { DevicePickers } from "../media/DevicePickers";
import { useDeviceList } from "../media/devices";
import { Dialog } from "../parts/Dialog";
import { useText } from "../text";
import type { OwnDevices } from "./useOwnDevices";

interface DevicesDialogProps {
  devices: OwnDevices;
  stream: MediaStream | null;
  onSpeaker: () => void;
  onClose: () => void;
}

export function DevicesDialog({ devices, stream, onSpeaker, onClose }: DevicesDialogProps) {
  const t = useText();
  const list = useDeviceList(stream);
  const empty = Object.values(list).every((kind) => kind.length === 0);
  return (
    <Dialog title={t.devices.title} onClose={onClose}>
      {empty && <p>{t.devices.problem.missing(t.devices.title)}</p>}
      <DevicePickers
        list={list}
        stream={stream}
        onChoose={(kind, deviceId) => {
          devices.choose(kind, deviceId);
          if (kind === "speaker") onSpeaker();
        }}
      />
    </Dialog>
  );
}
