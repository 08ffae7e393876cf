/** M, V, H and ?: alone outside text and drawing, with Alt everywhere. */
import { useEffect, useRef } from "react";

export type Shortcut = "mic" | "camera" | "hand" | "help";
const LETTERS: Record<string, Shortcut> = { KeyM: "mic", KeyV: "camera", KeyH: "hand" };

/** Does this element keep the letters for itself? The whiteboard has its own tool letters. */
function takesLetters(target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return false;
  return (
    target.closest("input, textarea, select, [contenteditable]:not([contenteditable='false']), .excalidraw") !==
    null
  );
}

/** Which shortcut a key press means, if any. */
export function shortcutOf(event: KeyboardEvent): Shortcut | null {
  if (event.ctrlKey || event.metaKey || event.repeat) return null;
  if (event.altKey) return event.shiftKey ? null : (LETTERS[event.code] ?? null);
  if (takesLetters(event.target)) return null;
  if (event.key === "?") return "help";
  return event.shiftKey ? null : (LETTERS[event.code] ?? null);
}

export function useShortcuts(perform: (shortcut: Shortcut) => void): void {
  const latest = useRef(perform);
  latest.current = perform;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const shortcut = shortcutOf(event);
      if (shortcut === null) return;
      event.preventDefault();
      latest.current(shortcut);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
