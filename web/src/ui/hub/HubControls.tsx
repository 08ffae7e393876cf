/** What a host does with a hub from anywhere: sound, layout, screen. */
import { useEffect, useId, useRef, useState } from "react";
import type { HubDesired, HubLayout } from "../../protocol/hub-types";
import { useText } from "../text";

const LAYOUTS: readonly HubLayout[] = ["auto", "board", "people", "screen"];
/** A slider is told to the hub when the hand rests. */
const REST_MS = 250;

interface HubControlsProps {
  /** Of the hub, for those who hear the controls. */
  name: string;
  desired: HubDesired;
  /** Settles when the server has answered and `desired` is what it says. */
  onChange: (change: Partial<HubDesired>) => Promise<void>;
}

export function HubControls({ name, desired: known, onChange: change }: HubControlsProps) {
  const t = useText();
  /** What was asked and not answered yet: a control does not spring back meanwhile. */
  const [asked, setAsked] = useState<Partial<HubDesired>>({});
  const latest = useRef(0);
  const desired = { ...known, ...asked };
  const onChange = (wish: Partial<HubDesired>) => {
    const mine = ++latest.current;
    setAsked((before) => ({ ...before, ...wish }));
    void change(wish).finally(() => {
      if (mine === latest.current) setAsked({});
    });
  };
  return (
    <div className="hub-controls" role="group" aria-label={t.hubs.controlOf(name)}>
      <Volume volume={desired.volume} onChange={(volume) => onChange({ volume })} />
      <Check label={t.hubs.mute} on={desired.muted} onChange={(muted) => onChange({ muted })} />
      <Check
        label={t.hubs.screenOn}
        on={desired.screen_on}
        onChange={(screen_on) => onChange({ screen_on })}
      />
      <fieldset className="layouts">
        <legend>{t.hubs.layout}</legend>
        <div className="segments">
          {LAYOUTS.map((layout) => (
            <button
              key={layout}
              type="button"
              className={`toggle ${desired.layout === layout ? "on" : ""}`}
              aria-pressed={desired.layout === layout}
              onClick={() => onChange({ layout })}
            >
              {t.hubs.layouts[layout]}
            </button>
          ))}
        </div>
      </fieldset>
    </div>
  );
}

function Volume({ volume, onChange }: { volume: number; onChange: (volume: number) => void }) {
  const t = useText();
  const id = useId();
  /** Where the hand is; null when the hub's own word counts. */
  const [hand, setHand] = useState<number | null>(null);
  useEffect(() => {
    if (hand === null) return;
    const timer = setTimeout(() => onChange(hand), REST_MS);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- a new callback is no new wish
  }, [hand]);
  useEffect(() => setHand(null), [volume]);
  return (
    <div className="volume">
      <label htmlFor={id}>{t.hubs.volume}</label>
      <input
        id={id}
        type="range"
        min={0}
        max={100}
        step={5}
        value={hand ?? volume}
        onChange={(event) => setHand(Number(event.target.value))}
      />
      <output htmlFor={id}>{hand ?? volume}</output>
    </div>
  );
}

function Check({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  const id = useId();
  return (
    <label className="check" htmlFor={id}>
      <input id={id} type="checkbox" checked={on} onChange={(event) => onChange(event.target.checked)} />
      {label}
    </label>
  );
}
