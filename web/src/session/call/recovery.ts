/** When a call that does not connect tries the next way. */

/** The ways, in order. */
export type RecoveryAction = "restart" | "relay";

/** What recovery may do. */
export interface RecoveryActions {
  /** Perform one; called at most once for each step. */
  perform(action: RecoveryAction): void;
  /** Every way was tried: say so, while more attempts follow. */
  failed(): void;
}

/** Direct paths either connect within this time or hardly ever. */
const CONNECT_MS = 4_500;
/** A relay needs a few round trips more, over TLS above all. */
const RELAY_MS = 10_000;
/** A break shorter than this heals by itself. */
const BREAK_MS = 3_000;
/** The polite side lets the other act first, lest both do the same. */
const POLITE_EXTRA_MS = 2_500;
const FIRST_REPEAT_MS = 15_000;
const LAST_REPEAT_MS = 60_000;

/**
 * The ladder of one call: direct, ICE restart, a new connection by relay
 * alone, then that again at growing intervals.
 */
export class Recovery {
  readonly #actions: RecoveryActions;
  readonly #extraMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #step = 0;
  #repeatMs = FIRST_REPEAT_MS;

  constructor(polite: boolean, actions: RecoveryActions) {
    this.#actions = actions;
    this.#extraMs = polite ? POLITE_EXTRA_MS : 0;
  }

  /** Negotiation goes on; the first call starts the clock. */
  started(): void {
    if (this.#timer === undefined) this.#arm(this.#patience());
  }

  /** The call is connected. */
  connected(): void {
    this.stop();
    this.#step = 0;
    this.#repeatMs = FIRST_REPEAT_MS;
  }

  /** Packets stopped; perhaps for a moment. */
  disconnected(): void {
    this.#arm(BREAK_MS);
  }

  /** This way is over for certain. */
  broken(): void {
    this.#arm(0);
  }

  /** A new connection was made, by whichever side: give it its time. */
  renewed(relay: boolean): void {
    if (relay) this.#step = Math.max(this.#step, 2);
    this.#arm(RELAY_MS);
  }

  /** Wait no more (until started again). */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #patience(): number {
    return this.#step < 2 ? CONNECT_MS : RELAY_MS;
  }

  #arm(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#next(), delayMs + this.#extraMs);
  }

  #next(): void {
    this.#step += 1;
    if (this.#step === 1) {
      this.#arm(CONNECT_MS);
      this.#actions.perform("restart");
    } else if (this.#step === 2) {
      this.#arm(RELAY_MS);
      this.#actions.perform("relay");
    } else if (this.#step % 2 === 1) {
      this.#actions.failed();
      this.#arm(this.#repeatMs);
      this.#repeatMs = Math.min(LAST_REPEAT_MS, this.#repeatMs * 2);
    } else {
      this.#arm(RELAY_MS);
      this.#actions.perform("relay");
    }
  }
}
