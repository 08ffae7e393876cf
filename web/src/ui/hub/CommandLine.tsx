import { refusalText } from "../admin/rest";
import { useText } from "../text";
import { patienceMinutes, type CommandState } from "./useCommand";

const UPDATES: ReadonlySet<string> = new Set(["update-check", "update-install"]);

/** How far the last command is, in one line. */
export function CommandLine({ state }: { state: CommandState }) {
  const t = useText();
  const words = () => {
    switch (state.kind) {
      case "none":
        return "";
      case "waiting":
        return t.hubs.commands.waiting;
      case "done":
        // How an update went is in what the hub reports, and its own words are not for people.
        return UPDATES.has(state.command) ? "" : state.detail || t.hubs.commands.done;
      case "failed":
        return t.hubs.commands.failed(state.detail);
      case "no-answer":
        return t.hubs.commands.noAnswer(patienceMinutes(state.command));
      case "refused":
        return refusalText(t, state.error);
    }
  };
  const bad = state.kind === "failed" || state.kind === "no-answer" || state.kind === "refused";
  return (
    <p role="status" className={bad ? "form-problem" : "field-hint"}>
      {words()}
    </p>
  );
}
