/** The message table: which language, and how components reach its words. */
import { createContext, useContext, useEffect, useMemo, useState } from "react";
import type { ReactNode } from "react";
import { kept, keep } from "../parts/kept";
import { de } from "./de";
import { en } from "./en";
import type { Messages } from "./en";

export const languages = { en, de } satisfies Record<string, Messages>;
export type { Messages };
export type Language = keyof typeof languages;

interface Text {
  readonly language: Language;
  readonly words: Messages;
  choose(language: Language): void;
}

const TextContext = createContext<Text>({ language: "en", words: en, choose: () => {} });

function isLanguage(value: string | null | undefined): value is Language {
  return value !== null && value !== undefined && value in languages;
}

function firstLanguage(): Language {
  const chosen = kept("language");
  if (isLanguage(chosen)) return chosen;
  const wished = navigator.languages ?? [navigator.language];
  return wished.map((tag) => tag.slice(0, 2)).find(isLanguage) ?? "en";
}

export function TextProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(firstLanguage);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const text = useMemo<Text>(
    () => ({
      language,
      words: languages[language],
      choose: (next) => {
        keep("language", next);
        setLanguage(next);
      },
    }),
    [language],
  );
  return <TextContext.Provider value={text}>{children}</TextContext.Provider>;
}

/** The clock as this person knows it: 13:15 or 1:15 PM, by the browser's own region. */
export function clockTime(at: Date, language: Language): string {
  const region = navigator.languages?.find((tag) => tag.slice(0, 2) === language);
  return at.toLocaleTimeString(region ?? language, { hour: "2-digit", minute: "2-digit" });
}

/** A day as this person writes it: Monday, 3 August. */
export function dayName(at: Date, language: Language): string {
  const region = navigator.languages?.find((tag) => tag.slice(0, 2) === language);
  return at.toLocaleDateString(region ?? language, {
    weekday: "long",
    day: "numeric",
    month: "long",
  });
}

/** A day and a time, short: 3 Aug, 13:15. */
export function momentWords(at: Date, language: Language): string {
  const region = navigator.languages?.find((tag) => tag.slice(0, 2) === language);
  return at.toLocaleString(region ?? language, {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
  });
}

/** A day of the coming week: Monday. */
export function weekday(at: Date, language: Language): string {
  return at.toLocaleDateString(language, { weekday: "long" });
}

/** The words of the chosen language. */
export function useText(): Messages {
  return useContext(TextContext).words;
}

export function useLanguage(): Text {
  return useContext(TextContext);
}
