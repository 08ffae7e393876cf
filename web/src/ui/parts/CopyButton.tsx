import { useState } from "react";
import { useText } from "../text";
import { Icon } from "./Icon";

/** Copies a text and says so in place. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const t = useText();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch {
      setCopied(false); // no permission or no secure context: the text stays to be selected
    }
  };
  return (
    <button type="button" className="button" onClick={() => void copy()}>
      <Icon name="copy" />
      <span aria-live="polite">{copied ? t.copied : label}</span>
    </button>
  );
}
