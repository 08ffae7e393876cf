/** What the hub shall do, followed by long poll (docs/protocols/hub.md). */
import {
  Backoff,
  ProblemError,
  type HubCalls,
  type HubFeedAnswer,
} from "../../protocol";

/** How long the server may keep a poll. */
const WAIT_S = 25;
/** A server that answers the same at once is not asked more often than this. */
const PACE_MS = 1_000;

/** How well the feed is followed. Times are milliseconds since 1970. */
export type FeedLink =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly since: number }
  | { readonly kind: "ended"; readonly removed: boolean }; // the token is no good any more

interface FeedOptions {
  /** With the token of the moment. */
  calls: () => HubCalls;
  hubId: string;
  /** The state or the link is another one. */
  changed: () => void;
  random?: () => number;
}

/** Polls from start() until stop(); `latest` is the state, `link` says how true it is. */
export class HubFeed {
  readonly #options: FeedOptions;
  readonly #backoff: Backoff;
  readonly #stopped = new AbortController();
  #wake: (() => void) | null = null;
  #latest: HubFeedAnswer | null = null;
  #link: FeedLink = { kind: "connecting" };

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random ?? Math.random);
  }

  get latest(): HubFeedAnswer | null {
    return this.#latest;
  }

  get link(): FeedLink {
    return this.#link;
  }

  start(): void {
    void this.#follow();
  }

  stop(): void {
    this.#stopped.abort();
    this.#wake?.();
  }

  /** There may be a network again: do not wait for the next try. */
  hint(): void {
    this.#wake?.();
  }

  /** The state as it is now; rejects like a call. */
  async refresh(): Promise<HubFeedAnswer> {
    const { calls, hubId } = this.#options;
    const answer = await calls().feed(hubId, null, 0, this.#stopped.signal);
    this.#take(answer);
    return answer;
  }

  async #follow(): Promise<void> {
    const { calls, hubId } = this.#options;
    while (!this.#stopped.signal.aborted && this.#link.kind !== "ended") {
      const before = this.#latest?.seq ?? null;
      const asked = Date.now();
      try {
        // The first answer is wanted at once, and so is one after a loss: it tells.
        const wait = this.#link.kind === "live" ? WAIT_S : 0;
        const answer = await calls().feed(hubId, before, wait, this.#stopped.signal);
        this.#backoff.reset();
        const news = this.#take(answer);
        if (!news && wait > 0 && Date.now() - asked < PACE_MS) await this.#sleep(PACE_MS);
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        await this.#failed(error);
      }
    }
  }

  /** True if it says something new. */
  #take(answer: HubFeedAnswer): boolean {
    if (this.#stopped.signal.aborted) return false;
    // Not by seq alone: what the box has found comes beside it.
    const news = JSON.stringify(answer) !== JSON.stringify(this.#latest);
    const wasLive = this.#link.kind === "live";
    this.#latest = answer;
    this.#link = { kind: "live" };
    if (news || !wasLive) this.#options.changed();
    return news;
  }

  async #failed(error: unknown): Promise<void> {
    const refused = error instanceof ProblemError ? error : null;
    if (refused !== null && [401, 403, 404, 410].includes(refused.status)) {
      this.#link = { kind: "ended", removed: refused.status !== 401 };
      this.#options.changed();
      return;
    }
    if (this.#link.kind !== "lost") {
      this.#link = { kind: "lost", since: Date.now() };
      this.#options.changed();
    }
    const named = refused?.retryAfterS;
    await this.#sleep(named ? this.#backoff.spread(named) : this.#backoff.next());
  }

  #sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#wake = done;
    });
  }
}
