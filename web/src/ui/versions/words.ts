/** How versions are spoken of: days, reasons, people, problems. */
import type { VersionInfo, VersionProblem } from "../../session/api";
import { VersionError } from "../../session/versions";
import { dayName } from "../text";
import type { Language } from "../text";
import type { Messages } from "../text/en";

/** Characters of a name. */
export const LONGEST = 100;

/** Versions of one day; `day` is its midnight on this clock. */
export interface Day {
  readonly day: Date;
  readonly versions: VersionInfo[];
}

export function midnight(at: Date): Date {
  return new Date(at.getFullYear(), at.getMonth(), at.getDate());
}

/** The days of a list, in its order. */
export function byDay(versions: readonly VersionInfo[]): Day[] {
  const days: Day[] = [];
  for (const version of versions) {
    const day = midnight(new Date(version.at * 1000));
    const last = days[days.length - 1];
    if (last?.day.getTime() === day.getTime()) last.versions.push(version);
    else days.push({ day, versions: [version] });
  }
  return days;
}

export function dayTitle(t: Messages, day: Date, language: Language, now = new Date()): string {
  const today = midnight(now);
  if (day.getTime() === today.getTime()) return t.versions.today;
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.getTime() === yesterday.getTime()) return t.versions.yesterday;
  return dayName(day, language);
}

/** Why it was kept, where it has no name. */
export function reasonWords(t: Messages, { reason }: VersionInfo): string {
  if (reason === "restore") return t.versions.beforeRestore;
  return reason === "empty" ? t.versions.left : t.versions.auto;
}

/** Who edited, each name once. */
export function whoWords(t: Messages, { authors }: VersionInfo): string {
  if (authors.length === 0) return t.versions.nobody;
  const names = new Set(authors.map(({ name }) => name || t.versions.someone));
  return t.versions.by([...names].join(", "));
}

/** Why something did not work, as the message table knows it. */
export function problemOf(error: unknown): VersionProblem {
  return error instanceof VersionError ? error.problem : "failed";
}
