import type { ReactNode } from "react";
import { languages, useLanguage } from "../text";
import type { Language } from "../text";
import { Icon } from "./Icon";
import { Mark } from "./Mark";
import { chooseTheme, useTheme } from "./theme";

export function ThemeToggle() {
  const { words } = useLanguage();
  const theme = useTheme();
  const next = theme === "dark" ? "light" : "dark";
  const label = next === "dark" ? words.theme.toDark : words.theme.toLight;
  return (
    <button
      type="button"
      className="button quiet square"
      aria-label={label}
      title={label}
      onClick={() => chooseTheme(next)}
    >
      <Icon name={next === "dark" ? "moon" : "sun"} />
    </button>
  );
}

export function LanguagePicker() {
  const { language, words, choose } = useLanguage();
  return (
    <select
      className="select quiet"
      aria-label={words.language}
      value={language}
      onChange={(event) => choose(event.target.value as Language)}
    >
      {Object.entries(languages).map(([tag, table]) => (
        <option key={tag} value={tag}>
          {table.languageName}
        </option>
      ))}
    </select>
  );
}

/** The head of every page outside a meeting. */
export function PageHead({ children }: { children?: ReactNode }) {
  const { words } = useLanguage();
  return (
    <header className="page-head">
      <a className="brand" href="/">
        <Mark />
        <span>{words.appName}</span>
      </a>
      <div className="page-head-tools">
        {children}
        <LanguagePicker />
        <ThemeToggle />
      </div>
    </header>
  );
}
