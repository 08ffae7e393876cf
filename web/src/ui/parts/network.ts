/** A hub's network check, read. */
import type { HubNetwork } from "../../protocol/hub-types";

/** Whether a hub that has reached its server since knows better. */
export function isOver({ reason, verdicts }: HubNetwork): boolean {
  return (
    reason === "unreachable" ||
    verdicts.some(({ capability, outcome }) => capability === "signalling" && outcome === "blocked")
  );
}
