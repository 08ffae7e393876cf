/** Sends chat until it is committed, each message under its one id. */
import type { DrcpClient, WireError } from "../protocol";
import type { ChatMessage } from "./api";
import type { ChatLog } from "./chat-log";

const RETRY_MS = 5_000;

/** The way of our messages to the server. */
export class ChatSender {
  readonly #log: ChatLog;
  readonly #client: Pick<DrcpClient, "sendEvent">;
  readonly #changed: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #problem: string | null = null;

  constructor(
    log: ChatLog,
    client: Pick<DrcpClient, "sendEvent">,
    changed: () => void,
  ) {
    this.#log = log;
    this.#client = client;
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

  /** An error on channel 0; with 507 nothing is being saved. */
  refused(error: WireError): void {
    if (this.#log.unsaved === 0) return;
    if (error.code === 507) this.#problem = "disk-full";
    else if (error.code === 4413) this.#problem = "too-big";
    else return;
    if (error.code === 4413) return; // the same text would be refused again
    clearTimeout(this.#timer);
    const delay = (error.retry_after_s ?? 0) * 1000 || RETRY_MS;
    this.#timer = setTimeout(() => this.connected(), delay);
  }

  /** The meeting is over. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #offer({ text, messageId }: ChatMessage): void {
    this.#client.sendEvent({
      type: "chat",
      data: { text, message_id: messageId },
    });
  }
}
