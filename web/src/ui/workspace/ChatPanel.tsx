import { useEffect, useRef, useState } from "react";
import type { FormEvent } from "react";
import type { ChatMessage } from "../../session/api";
import { Icon } from "../parts/Icon";
import { colourIndex } from "../parts/person";
import { clockTime, useLanguage, useText } from "../text";

const LONGEST = 4000;

interface ChatPanelProps {
  chat: readonly ChatMessage[];
  meId: string | null;
  /** False: the room is moderated and I am a viewer. */
  mayWrite: boolean;
  onSend: (text: string) => void;
}

/** The room's conversation; it stays with the room. */
export function ChatPanel({ chat, meId, mayWrite, onSend }: ChatPanelProps) {
  const t = useText();
  const [text, setText] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const last = chat[chat.length - 1];

  useEffect(() => {
    const element = list.current;
    if (element && (atEnd.current || last?.authorId === meId)) {
      element.scrollTop = element.scrollHeight;
    }
  }, [last, meId]);

  const send = (event?: FormEvent) => {
    event?.preventDefault();
    const trimmed = text.trim();
    if (trimmed === "") return;
    onSend(trimmed);
    setText("");
  };

  return (
    <div className="chat">
      <div
        className="chat-log"
        ref={list}
        role="log"
        aria-label={t.chat.title}
        tabIndex={0}
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {chat.length === 0 && <p className="chat-empty">{t.chat.empty}</p>}
        <ol>
        {chat.map((message, n) => (
          <Message
            key={message.messageId}
            message={message}
            mine={message.authorId === meId}
            follows={chat[n - 1]?.authorId === message.authorId && message.at - (chat[n - 1]?.at ?? 0) < 300}
          />
        ))}
        </ol>
      </div>
      <form className="chat-form" onSubmit={send}>
        <label className="sr-only" htmlFor="chat-message">
          {t.chat.message}
        </label>
        <textarea
          id="chat-message"
          rows={1}
          maxLength={LONGEST}
          placeholder={t.chat.message}
          value={text}
          disabled={!mayWrite}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
              send(event);
            }
          }}
        />
        <button
          type="submit"
          className="button primary square"
          aria-label={t.chat.send}
          title={t.chat.send}
          disabled={text.trim() === ""}
        >
          <Icon name="send" />
        </button>
        {!mayWrite && <p className="field-hint">{t.chat.viewersRead}</p>}
        {LONGEST - text.length < 200 && (
          <p className="field-hint">{t.chat.limit(LONGEST - text.length)}</p>
        )}
      </form>
    </div>
  );
}

function Message({
  message,
  mine,
  follows,
}: {
  message: ChatMessage;
  mine: boolean;
  follows: boolean;
}) {
  const t = useText();
  const { language } = useLanguage();
  const at = new Date(message.at * 1000);
  const time = clockTime(at, language);
  return (
    <li className={`message ${mine ? "mine" : ""} ${follows ? "follows" : ""}`}>
      {!follows && (
        <p className={`message-head person-${colourIndex(message.authorId)}`}>
          <strong>{message.author}</strong>
          <time dateTime={at.toISOString()}>{time}</time>
        </p>
      )}
      {message.removed ? (
        <p className="message-text message-removed">{t.chat.removed}</p>
      ) : (
        <p className="message-text">
          {message.text}
          {message.edited && <small className="message-edited"> ({t.chat.edited})</small>}
        </p>
      )}
      {message.seq === null && <p className="field-hint">{t.chat.sending}</p>}
    </li>
  );
}
