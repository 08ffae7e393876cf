import { useState } from "react";
import { useText } from "../text";

interface SureButtonProps {
  label: string;
  /** What the second button says: the act itself. */
  sure: string;
  /** What the way back says. */
  no?: string;
  /** A name that says of what, for those who do not see the surroundings. */
  name?: string;
  disabled?: boolean;
  danger?: boolean;
  onSure: () => void;
}

/** A button that asks once more, in place. */
export function SureButton({ label, sure, no, name, disabled, danger = false, onSure }: SureButtonProps) {
  const t = useText();
  const [asking, setAsking] = useState(false);
  if (!asking) {
    return (
      <button
        type="button"
        className="button"
        aria-label={name ? `${label}: ${name}` : undefined}
        disabled={disabled}
        onClick={() => setAsking(true)}
      >
        {label}
      </button>
    );
  }
  return (
    <span className="row tight">
      <button
        type="button"
        className={`button ${danger ? "danger" : "primary"}`}
        autoFocus
        onClick={() => {
          setAsking(false);
          onSure();
        }}
      >
        {sure}
      </button>
      <button type="button" className="button" onClick={() => setAsking(false)}>
        {no ?? t.hubs.keep}
      </button>
    </span>
  );
}
