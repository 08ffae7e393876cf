/** What the hub's agent writes into the fragment of its screen's address. */

/** One screen of a box. */
export interface ScreenAddress {
  /** Good once and for a minute; null after a reload. */
  readonly ticket: string | null;
  /** The agent's own page, for when the server is gone. */
  readonly local: string | null;
  /** Which screen of the box this is, and of how many; from 1. */
  readonly screen: number;
  readonly screens: number;
}

/** More screens than this on one box is a typing error. */
const MOST_SCREENS = 8;

/**
 * Read `#ticket=…&local=http://127.0.0.1:PORT/KEY&screen=1&screens=2`; null if
 * there is no ticket in it.
 */
export function screenAddress(hash: string): ScreenAddress | null {
  const fragment = new URLSearchParams(hash.replace(/^#/, ""));
  const ticket = fragment.get("ticket");
  if (!ticket) return null;
  const screen = counted(fragment.get("screen"));
  return {
    ticket,
    local: localAddress(fragment.get("local")),
    screen,
    screens: Math.max(screen, counted(fragment.get("screens"))),
  };
}

/**
 * The address as it came, or null unless it is plain HTTP on this very
 * machine with a port: a fragment must not be able to send a wall elsewhere.
 */
export function localAddress(text: string | null | undefined): string | null {
  if (!text || !/^http:\/\/127\.0\.0\.1:\d{1,5}\/[\w./~-]*$/.test(text)) return null;
  try {
    const url = new URL(text);
    return url.hostname === "127.0.0.1" ? url.href : null;
  } catch {
    return null; // a port above 65535
  }
}

function counted(text: string | null): number {
  const number = Number(text ?? "1");
  return Number.isInteger(number) && number >= 1 && number <= MOST_SCREENS ? number : 1;
}
