/** Where the others point, through the board's awareness. */
import type { Collaborator, SocketId } from "@excalidraw/excalidraw/types";
import type { Awareness } from "y-protocols/awareness";
import { plainColour } from "../parts/person";

/** What each page tells the others; pages may send anything, so it is read with care. */
interface Presence {
  user?: { id?: unknown; name?: unknown };
  pointer?: { x?: unknown; y?: unknown; tool?: unknown } | null;
  button?: unknown;
  selected?: unknown;
}

function pointerOf(presence: Presence): Collaborator["pointer"] {
  const { x, y, tool } = presence.pointer ?? {};
  if (!Number.isFinite(x) || !Number.isFinite(y)) return undefined;
  return { x: x as number, y: y as number, tool: tool === "laser" ? "laser" : "pointer" };
}

function selectedOf(presence: Presence): Collaborator["selectedElementIds"] {
  if (!Array.isArray(presence.selected)) return {};
  const ids = presence.selected.filter((id): id is string => typeof id === "string");
  return Object.fromEntries(ids.slice(0, 200).map((id) => [id, true as const]));
}

/** Everyone else on the board, as the drawing surface wants them. */
export function collaboratorsOf(awareness: Awareness): Map<SocketId, Collaborator> {
  const others = new Map<SocketId, Collaborator>();
  for (const [client, state] of awareness.getStates()) {
    if (client === awareness.clientID) continue;
    const presence = state as Presence;
    const name = presence.user?.name;
    if (typeof name !== "string") continue;
    const id = typeof presence.user?.id === "string" ? presence.user.id : String(client);
    const colour = plainColour(id);
    others.set(String(client) as SocketId, {
      id,
      username: name.slice(0, 64),
      color: { background: colour, stroke: colour },
      pointer: pointerOf(presence),
      button: presence.button === "down" ? "down" : "up",
      selectedElementIds: selectedOf(presence),
    });
  }
  return others;
}
