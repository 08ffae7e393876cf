import { useEffect, useState } from "react";
import type { RoomSession } from "../../session/api";
import { isBoardElement } from "../board/binding";

/** Is nothing drawn? Follows the room's whiteboard. */
export function useBoardEmpty(session: RoomSession): boolean {
  const { doc } = session.open("board");
  const [empty, setEmpty] = useState(true);
  useEffect(() => {
    const elements = doc.getMap<unknown>("elements");
    const look = () => {
      let drawn = false;
      for (const [id, value] of elements) {
        if (isBoardElement(id, value) && !value.isDeleted) {
          drawn = true;
          break;
        }
      }
      setEmpty(!drawn);
    };
    look();
    elements.observe(look);
    return () => elements.unobserve(look);
  }, [doc]);
  return empty;
}
