/** What a person who does not see the page should hear: arrivals, hands, screens, trouble. */
import { useEffect, useRef, useState } from "react";
import type { Person, SaveState, Snapshot } from "../../session/api";
import { useText } from "../text";
import type { Messages } from "../text/en";
import { saveWords } from "./stateWords";

/** Kinds that are worth a word; "saving" and "live" change with every stroke. */
function spoken(save: SaveState): "well" | "offline" | "read-only" | "cannot-save" | null {
  switch (save.kind) {
    case "live":
    case "saving":
      return "well";
    case "offline":
    case "read-only":
    case "cannot-save":
      return save.kind;
    default:
      return null;
  }
}

/** The news between two snapshots, most important last. */
export function newsBetween(t: Messages, before: Snapshot, after: Snapshot): string[] {
  const news: string[] = [];
  const others = (snapshot: Snapshot) =>
    new Map(
      snapshot.people
        .filter((person) => person.id !== snapshot.me?.id)
        .map((person): [string, Person] => [person.id, person]),
    );
  const old = others(before);
  const now = others(after);
  if (before.me !== null) {
    for (const [id, person] of now) {
      const was = old.get(id);
      if (!was) news.push(t.people.joined(person.name));
      else if (person.hand && !was.hand) news.push(t.people.hand(person.name));
      if (person.screen && !was?.screen) news.push(t.people.presents(person.name));
    }
    for (const [id, person] of old) if (!now.has(id)) news.push(t.people.left(person.name));
  }
  const waitingBefore = new Set(before.lobby.map((entry) => entry.participantId));
  for (const entry of after.lobby) {
    if (!waitingBefore.has(entry.participantId)) news.push(t.people.wants(entry.name));
  }
  const oldSave = spoken(before.save);
  const newSave = spoken(after.save);
  if (newSave !== null && newSave !== oldSave) {
    if (newSave !== "well") news.push(saveWords(t, after.save));
    else if (oldSave === "offline" || oldSave === "cannot-save") news.push(t.state.backLive);
  }
  return news;
}

/** The latest news, for one polite live region. */
export function useAnnouncements(snapshot: Snapshot): string {
  const t = useText();
  const before = useRef(snapshot);
  const [latest, setLatest] = useState("");
  useEffect(() => {
    const news = newsBetween(t, before.current, snapshot);
    before.current = snapshot;
    if (news.length > 0) setLatest(news.slice(-3).join(". "));
  }, [snapshot, t]);
  return latest;
}
