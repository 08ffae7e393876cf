/** STUN and TURN servers for the calls, fetched in time and filtered. */
import type { TurnCredentials } from "../../protocol";
import type { SessionOptions } from "../api";

/** The relay option: null for direct first, else relay only. */
export type RelayChoice = NonNullable<SessionOptions["relay"]> | null;

/**
 * The servers that the choice leaves; for `tls` only `turns:` and so on. near: the
 * name of the nearest region, "" for the server's own: the first in the list is
 * what browsers prefer, and the server that was asked stays behind it.
 */
export function chooseServers(
  credentials: TurnCredentials,
  choice: RelayChoice,
  near = "",
): RTCIceServer[] {
  const { username, credential } = credentials;
  const allowed = (urls: readonly string[]) => urls.filter((url) => allows(url, choice));
  const home = allowed(credentials.urls);
  const region = near ? credentials.regions?.find(({ name }) => name === near) : undefined;
  const first = allowed(region?.urls ?? []);
  const lists = first.length === 0 ? [home] : [first, fewOf(home)];
  return lists
    .filter((urls) => urls.length > 0)
    .map((urls) => ({ urls, username, credential }));
}

/** STUN, and one way by UDP and one by TLS or TCP: each costs an allocation. */
function fewOf(urls: readonly string[]): string[] {
  const first = (way: string) => urls.find((url) => wayOfUrl(url) === way);
  const stream = first("tls") ?? first("tcp");
  return urls.filter((url) => {
    const way = wayOfUrl(url);
    return way === null || url === stream || url === first("udp");
  });
}

/** Whether the choice leaves this URL. */
export function allows(url: string, choice: RelayChoice): boolean {
  const relay = wayOfUrl(url);
  if (choice === null) return true;
  return choice === "any" ? relay !== null : relay === choice;
}

/** The way of a TURN URL (RFC 7065); null for STUN. */
export function wayOfUrl(url: string): "udp" | "tcp" | "tls" | null {
  if (url.startsWith("turns:")) return "tls";
  if (!url.startsWith("turn:")) return null;
  return /[?&]transport=tcp\b/.test(url) ? "tcp" : "udp";
}

const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 60_000;
/** Renewed when this share of their life is over. */
const RENEW_AT = 0.75;

/** The credentials of one session, renewed while it lasts. */
export class IceServers {
  readonly #fetch: () => Promise<TurnCredentials>;
  readonly #choice: RelayChoice;
  readonly #changed: (servers: RTCIceServer[]) => void;
  readonly #nearest: (credentials: TurnCredentials) => Promise<string>;
  #servers: RTCIceServer[] = [];
  #first: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  constructor(
    fetch: () => Promise<TurnCredentials>,
    choice: RelayChoice,
    changed: (servers: RTCIceServer[]) => void,
    nearest: (credentials: TurnCredentials) => Promise<string> = () => Promise.resolve(""),
  ) {
    this.#fetch = fetch;
    this.#choice = choice;
    this.#changed = changed;
    this.#nearest = nearest;
  }

  /** The present servers; empty before the first answer. */
  get servers(): RTCIceServer[] {
    return this.#servers;
  }

  /** Resolves when the first attempt is over, with or without servers. */
  ready(): Promise<void> {
    this.#first ??= this.#renew();
    return this.#first;
  }

  /** Fetch no more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #renew(): Promise<void> {
    let delayMs: number;
    try {
      const credentials = await this.#fetch();
      const near = await this.#nearest(credentials);
      if (this.#stopped) return;
      this.#servers = chooseServers(credentials, this.#choice, near);
      this.#retryMs = FIRST_RETRY_MS;
      delayMs = Math.max(FIRST_RETRY_MS, credentials.ttl * 1000 * RENEW_AT);
      this.#changed(this.#servers);
    } catch {
      if (this.#stopped) return;
      delayMs = this.#retryMs;
      this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
    }
    // Longer delays than a timer can hold would fire at once.
    this.#timer = setTimeout(
      () => void this.#renew(),
      Math.min(delayMs, 2 ** 31 - 1),
    );
  }
}
