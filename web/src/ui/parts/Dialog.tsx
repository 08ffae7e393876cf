import { useEffect, useId, useRef } from "react";
import type { ReactNode } from "react";
import { useText } from "../text";
import { Icon } from "./Icon";

/** A window of its own, for what the user asked to see; the platform keeps the focus in it. */
export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: () => void;
  children: ReactNode;
}) {
  const t = useText();
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal?.();
    return () => dialog?.close?.();
  }, []);
  return (
    <dialog
      ref={element}
      className="dialog"
      aria-labelledby={id}
      onClose={onClose}
      // Escape closes this window, not what lies behind it as well.
      onKeyDown={(event) => event.key === "Escape" && event.stopPropagation()}
    >
      <div className="dialog-head">
        <h2 id={id}>{title}</h2>
        <button type="button" className="button quiet square" aria-label={t.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {children}
    </dialog>
  );
}
