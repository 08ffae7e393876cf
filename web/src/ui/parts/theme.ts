/** Light or dark: the system's wish until someone chooses here. */
import { useSyncExternalStore } from "react";
import { keep, kept } from "./kept";

export type Theme = "light" | "dark";

const listeners = new Set<() => void>();
let current: Theme = "light";

function wished(): Theme {
  const chosen = kept("theme");
  if (chosen === "light" || chosen === "dark") return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function apply(theme: Theme): void {
  current = theme;
  document.documentElement.dataset.theme = theme;
  for (const listener of listeners) listener();
}

/** Call once, before the first drawing. */
export function startTheme(): void {
  apply(wished());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(wished()));
}

export function chooseTheme(theme: Theme): void {
  keep("theme", theme);
  apply(theme);
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}
