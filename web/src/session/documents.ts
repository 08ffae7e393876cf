/** The open documents of a meeting and their channels. */
import type { Message } from "../protocol";
import { RoomDocument, type DocumentHost } from "./document";
import type { EditKeeper } from "./kept-edits";

const LAST_CHANNEL = 255;

/** Documents by name; the same object each time. */
export class Documents {
  readonly #byName = new Map<string, RoomDocument>();
  readonly #host: Omit<DocumentHost, "nextChannel">;
  readonly #keeper: EditKeeper;
  #live = false;
  #channel = 0;

  constructor(host: Omit<DocumentHost, "nextChannel">, keeper: EditKeeper) {
    this.#host = host;
    this.#keeper = keeper;
  }

  /** All that were opened. */
  get all(): readonly RoomDocument[] {
    return [...this.#byName.values()];
  }

  /** Open a document, at once or with the next connection. */
  open(name: string): RoomDocument {
    let document = this.#byName.get(name);
    if (document === undefined) {
      const host = {
        ...this.#host,
        nextChannel: () => this.#nextChannel(),
      };
      document = new RoomDocument(name, host, this.#keeper);
      this.#byName.set(name, document);
      if (this.#live) document.connect();
    }
    return document;
  }

  /** The connection is live and we are in the room. */
  connect(): void {
    this.#live = true;
    for (const document of this.all) document.connect();
  }

  /** The connection is gone. */
  disconnect(): void {
    if (!this.#live) return;
    this.#live = false;
    for (const document of this.all) document.disconnect();
  }

  /** A message on a document's channel; those of closed channels are late. */
  receive(message: Message): void {
    this.all
      .find(({ channel }) => channel === message.channel)
      ?.receive(message);
  }

  /** Our role may write, or no longer. */
  permit(write: boolean): void {
    for (const document of this.all) document.permit(write);
  }

  /** Send and put away what is not saved: the page may not live on. */
  keepNow(): void {
    for (const document of this.all) document.keepNow();
  }

  /** The meeting is over; the contents stay readable. */
  destroy(): void {
    this.#live = false;
    for (const document of this.all) document.destroy();
  }

  #nextChannel(): number {
    const used = new Set(this.all.map(({ channel }) => channel));
    for (let tries = 0; tries < LAST_CHANNEL; tries += 1) {
      this.#channel = (this.#channel % LAST_CHANNEL) + 1;
      if (!used.has(this.#channel)) return this.#channel;
    }
    throw new RangeError("255 documents are open: no channel is left");
  }
}
