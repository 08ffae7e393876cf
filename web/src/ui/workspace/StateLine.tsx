import type { RemoteMedia, SaveState } from "../../session/api";
import { useText } from "../text";
import { callWords, saveTone, saveWords, worstCall } from "./stateWords";

interface StateLineProps {
  save: SaveState;
  remote: readonly RemoteMedia[];
}

/** The one line that never lies. Not a live region: it changes with every stroke. */
export function StateLine({ save, remote }: StateLineProps) {
  const t = useText();
  const call = worstCall(remote);
  const words = call && callWords(t, call);
  return (
    <div className="state-line" role="group" aria-label={t.state.label}>
      <span className={`state ${saveTone(save)}`}>
        <i aria-hidden="true" />
        <span>{saveWords(t, save)}</span>
      </span>
      {call && words && (
        <span className={`state ${call.kind === "failed" ? "signal" : ""}`} title={words.why}>
          <span>{words.text}</span>
        </span>
      )}
    </div>
  );
}
