/** Sends chat until it is committed, each message under its one id. */
import type { ClientEvent, WireError } from "../protocol";
import type { ChatMessage } from "./api";
import type { ChatLog } from "./chat-log";

const RETRY_MS = 5_000;

/** The way of our messages to the server. */
export class ChatSender {
  readonly #log: ChatLog;
  readonly #tell: (event: ClientEvent) => boolean;
  readonly #changed: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #problem: string | null = null;

  /** tell: sends an event; one that cannot be sent waits for connected(). */
  constructor(
    log: ChatLog,
    tell: (event: ClientEvent) => boolean,
    changed: () => void,
  ) {
    this.#log = log;
    this.#tell = tell;
    this.#changed = changed;
  }

  /** Why messages are not being saved; null if they are, or none waits. */
  get problem(): string | null {
    return this.#log.unsaved > 0 ? this.#problem : null;
  }

  /** Show a message and send it, now or when there is a connection. */
  send(message: ChatMessage): void {
    this.#log.write(message);
    this.#offer(message);
    this.#changed();
  }

  /** A connection is live: what waits is sent again under the same ids. */
  connected(): void {
    this.#problem = null;
    for (const message of this.#log.pending) this.#offer(message);
  }

  /** An error on channel 0 while messages wait: theirs, most probably. */
  refused(error: WireError): void {
    if (this.#log.unsaved === 0) return;
    if (error.code === 4400 || error.code === 4403 || error.code === 4413) {
      // The same text would be refused again: say so, and do not repeat it.
      this.#problem = error.code === 4413 ? "too-big" : "refused";
      return;
    }
    if (error.code !== 507) return;
    this.#problem = "disk-full";
    clearTimeout(this.#timer);
    const delay = (error.retry_after_s ?? 0) * 1000 || RETRY_MS;
    this.#timer = setTimeout(() => this.connected(), delay);
  }

  /** The meeting is over. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #offer({ text, messageId }: ChatMessage): void {
    this.#tell({ type: "chat", data: { text, message_id: messageId } });
  }
}
