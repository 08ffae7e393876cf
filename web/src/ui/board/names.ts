/** Names for the controls that the drawing surface leaves without, or misnames. */
import { useEffect } from "react";
import type { RefObject } from "react";
import type { Messages } from "../text/en";

function nameControls(root: Element, t: Messages): void {
  root.querySelector(".main-menu-trigger")?.setAttribute("aria-label", t.room.boardMenu);
  // Its label hides the percentage that it shows: the percentage is the name then.
  root.querySelector(".reset-zoom-button")?.removeAttribute("aria-label");
  for (const dialog of root.querySelectorAll(".color-picker-container[role=dialog]")) {
    // One in the flow of the page: neither a dialog nor modal.
    dialog.setAttribute("role", "group");
    dialog.removeAttribute("aria-modal");
    dialog.setAttribute("aria-label", t.room.boardColours);
  }
}

/** Keeps the names while the surface draws itself anew. */
export function useAccessibleNames(section: RefObject<HTMLElement>, t: Messages): void {
  useEffect(() => {
    const root = section.current;
    if (!root) return;
    nameControls(root, t);
    const observer = new MutationObserver(() => nameControls(root, t));
    observer.observe(root, { childList: true, subtree: true });
    return () => observer.disconnect();
  }, [section, t]);
}
