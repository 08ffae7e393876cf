/** A host's hand on the box in the room, from any browser. */
import { useEffect, useState } from "react";
import type { Hub, HubChange, HubCommandName } from "../../protocol/hub-types";
import type { RoomHubs } from "../../session/api";
import { CommandLine } from "../hub/CommandLine";
import { HubControls } from "../hub/HubControls";
import { useCommand } from "../hub/useCommand";
import { SureButton } from "../parts/SureButton";
import { usePolled } from "../parts/usePolled";
import { useText } from "../text";

const POLL_MS = 5_000;

export interface HubsHere {
  readonly hubs: readonly Hub[];
  reload(): Promise<void>;
}

/** The hubs in this room, followed while the panel is open; none for who is no host. */
export function useHubsHere(calls: RoomHubs, roomId: string | null, hosting: boolean): HubsHere {
  const { value, reload } = usePolled<Hub[]>(
    async () => (hosting && roomId !== null ? calls.list() : []),
    POLL_MS,
  );
  return { hubs: (value ?? []).filter((hub) => hub.desired.room === roomId), reload };
}

interface HubControlProps {
  hub: Hub;
  calls: RoomHubs;
  reload: () => Promise<void>;
}

export function HubControl({ hub, calls, reload }: HubControlProps) {
  const t = useText();
  const [failed, setFailed] = useState(false);
  const [picture, setPicture] = useState<string | null>(null);
  useEffect(() => () => void (picture && URL.revokeObjectURL(picture)), [picture]);
  const { state, run } = useCommand(calls, hub.hub_id, (_command: HubCommandName, file: Blob) =>
    setPicture(URL.createObjectURL(file)),
  );
  const change = async (desired: NonNullable<HubChange["desired"]>) => {
    setFailed(false);
    try {
      await calls.change(hub.hub_id, { desired });
    } catch {
      setFailed(true);
    }
    await reload();
  };
  return (
    <div className="hub-control">
      <p role="alert" className="form-problem">
        {failed ? t.hubs.failed : null}
      </p>
      <HubControls name={hub.name} desired={hub.desired} onChange={change} />
      <div className="row">
        <button
          type="button"
          className="button"
          disabled={state.kind === "waiting"}
          onClick={() => void run("screenshot")}
        >
          {t.hubs.screenshot}
        </button>
        <SureButton
          label={t.hubs.leave}
          sure={t.hubs.leaveSure}
          name={hub.name}
          onSure={() => void change({ room: null })}
        />
      </div>
      <CommandLine state={state} />
      {picture && <img className="hub-shot" src={picture} alt={t.hubs.screenshotOf(hub.name)} />}
    </div>
  );
}
