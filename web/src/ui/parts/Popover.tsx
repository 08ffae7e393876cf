import { useEffect, useId, useRef, useState } from "react";
import type { ReactNode } from "react";

interface PopoverProps {
  label: string;
  className?: string;
  button: ReactNode;
  /** Which edge of the button the card lines up with. */
  align?: "start" | "centre" | "end";
  side?: "above" | "below";
  children: (close: () => void) => ReactNode;
  buttonLabel?: string;
}

/** A button and the card it opens; Escape and a click elsewhere close it. */
export function Popover({
  label,
  className = "",
  button,
  align = "start",
  side = "below",
  children,
  buttonLabel,
}: PopoverProps) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const id = useId();
  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  useEffect(() => {
    if (!open) return;
    const elsewhere = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", elsewhere, true);
    return () => document.removeEventListener("pointerdown", elsewhere, true);
  }, [open]);
  return (
    <div
      className="popover"
      ref={root}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) {
          event.stopPropagation();
          close();
        }
      }}
    >
      <button
        ref={opener}
        type="button"
        className={className}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={buttonLabel}
        title={buttonLabel}
        onClick={() => setOpen(!open)}
      >
        {button}
      </button>
      {open && (
        <div id={id} className={`card popover-card ${align} ${side}`} role="group" aria-label={label}>
          {children(close)}
        </div>
      )}
    </div>
  );
}
