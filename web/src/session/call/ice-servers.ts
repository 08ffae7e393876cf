/** STUN and TURN servers for the calls, fetched in time and filtered. */
import type { TurnCredentials } from "../../protocol";
import type { SessionOptions } from "../api";

/** The relay option: null for direct first, else relay only. */
export type RelayChoice = NonNullable<SessionOptions["relay"]> | null;

/** The servers that the choice leaves; for `tls` only `turns:` and so on. */
export function chooseServers(
  credentials: TurnCredentials,
  choice: RelayChoice,
): RTCIceServer[] {
  const urls = credentials.urls.filter((url) => allows(url, choice));
  if (urls.length === 0) return [];
  const { username, credential } = credentials;
  return [{ urls, username, credential }];
}

function allows(url: string, choice: RelayChoice): boolean {
  const relay = relayOf(url);
  if (choice === null) return true;
  return choice === "any" ? relay !== null : relay === choice;
}

function relayOf(url: string): "udp" | "tcp" | "tls" | null {
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
  #servers: RTCIceServer[] = [];
  #first: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = FIRST_RETRY_MS;
  #stopped = false;

  constructor(
    fetch: () => Promise<TurnCredentials>,
    choice: RelayChoice,
    changed: (servers: RTCIceServer[]) => void,
  ) {
    this.#fetch = fetch;
    this.#choice = choice;
    this.#changed = changed;
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
      if (this.#stopped) return;
      this.#servers = chooseServers(credentials, this.#choice);
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
