/** A hub's screen in the browser. */
import type { SessionOptions } from "../api";
import { browserEnvironment } from "../environment";
import { MeetingSession } from "../meeting";
import type { ScreenAddress } from "./address";
import { HubScreen } from "./screen";
import { wipeMeeting } from "./wipe";

/**
 * Open a screen. A wall's meeting leaves no room token in the tab and nothing
 * in the HTTP cache; unsaved edits are in IndexedDB until it ends.
 */
export function openHubScreen(
  address: ScreenAddress | null,
  options: SessionOptions = {},
): HubScreen {
  const environment = browserEnvironment();
  const wall = {
    ...environment,
    storage: null,
    fetch: (input: RequestInfo | URL, init?: RequestInit) =>
      environment.fetch(input, { ...init, cache: "no-store" }),
  };
  return new HubScreen(address, {
    environment,
    enter: (token, given) => new MeetingSession(token, given, wall),
    wipe: wipeMeeting,
    // A plain text needs no leave of the agent before it is sent.
    tell: (local, screen, shown) => {
      // An agent of an earlier version knows the meeting alone.
      const body = JSON.stringify(
        shown === "presenting" ? { screen, shown: "meeting", presenting: true } : { screen, shown },
      );
      const address = `${local.replace(/\/$/, "")}/screen`;
      void fetch(address, { method: "POST", body, mode: "no-cors", credentials: "omit" }).catch(
        () => {},
      );
    },
    goTo: (local) => location.replace(local),
    options,
  });
}
