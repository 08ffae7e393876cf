import { Dialog } from "../parts/Dialog";
import { useText } from "../text";

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const t = useText();
  const rows = [
    ["M", t.keys.mute],
    ["V", t.keys.camera],
    ["H", t.keys.hand],
    ["?", t.keys.help],
    ["Esc", t.keys.escape],
  ] as const;
  return (
    <Dialog title={t.keys.title} onClose={onClose}>
      <dl className="keys">
        {rows.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p className="field-hint">{t.keys.note}</p>
    </Dialog>
  );
}
