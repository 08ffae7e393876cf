/** Pings that notice a dead connection and measure a live one. */

/** What a heartbeat does to the world. */
export interface HeartbeatActions {
  /** Send a ping. */
  ping(): void;
  /** A round trip took this long. */
  rtt(milliseconds: number): void;
  /** Nothing came back: the connection is gone. */
  dead(): void;
}

/** Between two pings; servers and proxies drop idle sockets from 30 s on. */
const INTERVAL_MS = 10_000;
/** How long silence may last after a ping, usually and when in doubt. */
const PATIENCE_MS = 10_000;
const PROBE_PATIENCE_MS = 3_000;

/** The heartbeat of one connection at a time. */
export class Heartbeat {
  readonly #actions: HeartbeatActions;
  #interval: ReturnType<typeof setInterval> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #sentAt: number | null = null;

  constructor(actions: HeartbeatActions) {
    this.#actions = actions;
  }

  /** A connection became live. */
  start(): void {
    this.stop();
    this.#interval = setInterval(() => this.#beat(PATIENCE_MS), INTERVAL_MS);
    this.#beat(PATIENCE_MS);
  }

  /** Ping now and wait less long. */
  probe(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    this.#beat(PROBE_PATIENCE_MS);
  }

  /** Something arrived: the connection lives. */
  heard(): void {
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
  }

  /** The pong arrived. */
  ponged(): void {
    if (this.#sentAt === null) return;
    this.#actions.rtt(performance.now() - this.#sentAt);
    this.#sentAt = null;
  }

  /** The connection is over. */
  stop(): void {
    clearInterval(this.#interval);
    clearTimeout(this.#deadline);
    this.#deadline = undefined;
    this.#sentAt = null;
  }

  #beat(patienceMs: number): void {
    this.#sentAt = performance.now();
    this.#actions.ping();
    this.#deadline ??= setTimeout(() => this.#actions.dead(), patienceMs);
  }
}
