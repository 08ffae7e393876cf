/** The chat of a room: what is committed, and what is on its way. */
import type { WireChat } from "../protocol";
import type { ChatMessage } from "./api";

/** Messages by id, so that a repetition is never a second message. */
export class ChatLog {
  readonly #committed = new Map<string, ChatMessage>();
  readonly #pending = new Map<string, ChatMessage>();
  #list: readonly ChatMessage[] | null = null;

  /** Committed messages by seq, then ours in the order of writing. */
  get messages(): readonly ChatMessage[] {
    this.#list ??= [
      ...[...this.#committed.values()].sort(bySeq),
      ...this.#pending.values(),
    ];
    return this.#list;
  }

  /** How many of ours are not committed. */
  get unsaved(): number {
    return this.#pending.size;
  }

  /** The lowest seq known; null if none is. */
  get oldestSeq(): number | null {
    return this.messages[0]?.seq ?? null;
  }

  /** The highest seq known; null if none is. */
  get newestSeq(): number | null {
    return this.messages[this.#committed.size - 1]?.seq ?? null;
  }

  /** Ours that the server has to hear (again, after a return). */
  get pending(): readonly ChatMessage[] {
    return [...this.#pending.values()];
  }

  /** One of ours, shown before the server has it. */
  write(message: ChatMessage): void {
    this.#pending.set(message.messageId, message);
    this.#list = null;
  }

  /** Messages from the server: live, history or again. */
  commit(messages: readonly WireChat[]): void {
    for (const message of messages) {
      this.#pending.delete(message.message_id);
      this.#committed.set(message.message_id, {
        seq: message.seq,
        messageId: message.message_id,
        authorId: message.author_id,
        author: message.author,
        text: message.text,
        at: message.at,
        ...(message.edited_at === undefined ? {} : { edited: true }),
        ...(message.retracted_at === undefined ? {} : { removed: true }),
      });
    }
    this.#list = null;
  }
}

function bySeq(a: ChatMessage, b: ChatMessage): number {
  return (a.seq ?? 0) - (b.seq ?? 0);
}
