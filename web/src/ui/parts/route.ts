/** Which page the address asks for. Fragments hold secrets and never reach a server. */
import { useSyncExternalStore } from "react";
import { screenAddress } from "../../session/hub/address";
import type { ScreenAddress } from "../../session/hub/address";

export type Route =
  | { page: "join"; hubId: string; pin: string; token: string | null }
  | { page: "present"; hubId: string; pin: string }
  | { page: "admin"; setupCode: string | null }
  | { page: "hub"; hubId: string; pin: string; screen: ScreenAddress | null }
  | { page: "netcheck"; shared: string | null };

function hubIdIn(text: string | undefined): string {
  return (text ?? "").replace(/\D/g, "").slice(0, 9);
}

/** Read a route from an address; whatever is unknown is the join page. */
export function routeOf(location: Pick<Location, "pathname" | "hash">): Route {
  const [first, second] = location.pathname.split("/").filter((part) => part !== "");
  const fragment = new URLSearchParams(location.hash.replace(/^#/, ""));
  const pin = fragment.get("pin") ?? "";
  const hubId = hubIdIn(second ?? fragment.get("id") ?? "");
  switch (first) {
    case "present":
      return { page: "present", hubId, pin };
    case "admin":
      return { page: "admin", setupCode: fragment.get("setup") };
    case "hub":
      return { page: "hub", hubId, pin, screen: screenAddress(location.hash) };
    case "netcheck":
      return { page: "netcheck", shared: fragment.get("r") };
    default:
      return {
        page: "join",
        hubId: first === "join" ? hubId : "",
        pin,
        token: fragment.get("token"),
      };
  }
}

const listeners = new Set<() => void>();
const tell = () => listeners.forEach((listener) => listener());

export function go(path: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  tell();
}

/** The present address; the string changes when the route may have. */
export function useAddress(): string {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      window.addEventListener("popstate", listener);
      window.addEventListener("hashchange", listener);
      return () => {
        listeners.delete(listener);
        window.removeEventListener("popstate", listener);
        window.removeEventListener("hashchange", listener);
      };
    },
    () => location.pathname + location.hash,
  );
}

/** "412907338" as "412 907 338", as people read it aloud. */
export function groupHubId(hubId: string): string {
  return hubId.replace(/(\d{3})(?=\d)/g, "$1 ");
}
