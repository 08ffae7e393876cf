import { useId } from "react";
import { kept } from "../parts/kept";
import { useText } from "../text";
import { speakerChoice } from "./devices";
import type { DeviceKind, DeviceList } from "./devices";

interface DevicePickersProps {
  list: DeviceList;
  stream: MediaStream | null;
  onChoose: (kind: DeviceKind, deviceId: string) => void;
}

/** One picker for each kind of device that there is a choice of. */
export function DevicePickers({ list, stream, onChoose }: DevicePickersProps) {
  const kinds: DeviceKind[] = ["camera", "microphone"];
  if (speakerChoice()) kinds.push("speaker");
  const inUse = (kind: DeviceKind): string => {
    const track =
      kind === "camera"
        ? stream?.getVideoTracks()[0]
        : kind === "microphone"
          ? stream?.getAudioTracks()[0]
          : undefined;
    return track?.getSettings?.().deviceId ?? kept(kind) ?? "";
  };
  return (
    <div className="pickers">
      {kinds
        .filter((kind) => list[kind].length > 0)
        .map((kind) => (
          <Picker
            key={kind}
            kind={kind}
            devices={list[kind]}
            value={inUse(kind)}
            onChoose={onChoose}
          />
        ))}
    </div>
  );
}

function Picker({
  kind,
  devices,
  value,
  onChoose,
}: {
  kind: DeviceKind;
  devices: MediaDeviceInfo[];
  value: string;
  onChoose: (kind: DeviceKind, deviceId: string) => void;
}) {
  const t = useText();
  const id = useId();
  return (
    <div className="picker">
      <label htmlFor={id}>{t.devices[kind]}</label>
      <select
        id={id}
        className="select"
        defaultValue={value}
        key={value}
        onChange={(event) => onChoose(kind, event.target.value)}
      >
        {devices.map((device, n) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || t.devices.unnamed(t.devices[kind], n + 1)}
          </option>
        ))}
      </select>
    </div>
  );
}
