/** The screen's token in this tab, so that a reload goes on without a ticket. */
import type { Environment } from "../environment";
import { localAddress } from "./address";

const KEY = "mosaic.hub";

export interface RememberedScreen {
  readonly token: string;
  readonly hubId: string;
  readonly local: string | null;
  readonly screen: number;
  readonly screens: number;
}

export function rememberScreen(
  storage: Environment["storage"],
  screen: RememberedScreen | null,
): void {
  try {
    if (screen === null) storage?.removeItem(KEY);
    else storage?.setItem(KEY, JSON.stringify(screen));
  } catch {
    // No storage: a reload then needs the agent.
  }
}

export function recallScreen(storage: Environment["storage"]): RememberedScreen | null {
  try {
    const found = JSON.parse(storage?.getItem(KEY) ?? "null") as Partial<RememberedScreen> | null;
    if (typeof found?.token !== "string" || typeof found.hubId !== "string") return null;
    const { token, hubId, screen = 1, screens = 1 } = found;
    return { token, hubId, local: localAddress(found.local), screen, screens };
  } catch {
    return null;
  }
}
