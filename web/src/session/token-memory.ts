/** The room token of this tab, so that a reload comes back to the meeting. */
import type { Environment } from "./environment";

const KEY = "mosaic.room";

interface Remembered {
  readonly token: string;
  /** Null until the server said which room it is. */
  readonly hubId: string | null;
}

/** Keep a token for the life of the tab. */
export function rememberToken(
  storage: Environment["storage"],
  remembered: Remembered,
): void {
  try {
    storage?.setItem(KEY, JSON.stringify(remembered));
  } catch {
    // A full or forbidden storage: a reload then asks for the PIN again.
  }
}

/** The meeting is over: a reload must not come back. */
export function forgetToken(storage: Environment["storage"]): void {
  try {
    storage?.removeItem(KEY);
  } catch {
    // As above.
  }
}

/** The token of this tab's last meeting; with hubId, only if it was there. */
export function readToken(
  storage: Environment["storage"],
  hubId?: string,
): string | null {
  try {
    const text = storage?.getItem(KEY);
    if (!text) return null;
    const { token, hubId: room } = JSON.parse(text) as Partial<Remembered>;
    if (typeof token !== "string") return null;
    return hubId === undefined || hubId === room ? token : null;
  } catch {
    return null;
  }
}
