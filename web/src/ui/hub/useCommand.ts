/** One command to a hub: told, waited for, answered. */
import { useEffect, useRef, useState } from "react";
import type { HubCommand, HubCommandName } from "../../protocol/hub-types";

export interface CommandCalls {
  command(hubId: string, command: HubCommandName): Promise<{ id: string }>;
  showCommand(hubId: string, id: string): Promise<HubCommand>;
  commandFile(hubId: string, id: string): Promise<Blob>;
}

export type CommandState =
  | { kind: "none" }
  | { kind: "waiting"; command: HubCommandName }
  | { kind: "done"; command: HubCommandName; detail: string | null }
  | { kind: "failed"; command: HubCommandName; detail: string }
  | { kind: "no-answer"; command: HubCommandName }
  | { kind: "refused"; command: HubCommandName; error: unknown };

const ASK_MS = 1_000;

/** How long an answer is waited for: an installation takes its time. */
export function patienceMinutes(command: HubCommandName): number {
  return command === "update-install" ? 15 : 1;
}

/** onFile: given the file that the hub sent. */
export function useCommand(
  calls: CommandCalls,
  hubId: string,
  onFile: (command: HubCommandName, file: Blob) => void,
): { state: CommandState; run: (command: HubCommandName) => Promise<void> } {
  const [state, setState] = useState<CommandState>({ kind: "none" });
  const turn = useRef(0);
  useEffect(
    () => () => {
      turn.current = -1;
    },
    [],
  );

  const run = async (command: HubCommandName) => {
    if (turn.current < 0) return;
    const mine = ++turn.current;
    const tell = (next: CommandState) => {
      if (mine === turn.current) setState(next);
    };
    tell({ kind: "waiting", command });
    try {
      const { id } = await calls.command(hubId, command);
      const until = Date.now() + patienceMinutes(command) * 60_000;
      while (mine === turn.current) {
        const { state: how, detail, file } = await calls.showCommand(hubId, id);
        if (how === "failed") return tell({ kind: "failed", command, detail: detail ?? "" });
        if (how === "done") {
          if (file) onFile(command, await calls.commandFile(hubId, id));
          return tell({ kind: "done", command, detail });
        }
        if (Date.now() > until) return tell({ kind: "no-answer", command });
        await new Promise((wake) => setTimeout(wake, ASK_MS));
      }
    } catch (error) {
      tell({ kind: "refused", command, error });
    }
  };
  return { state, run };
}
