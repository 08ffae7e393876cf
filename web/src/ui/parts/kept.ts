/** Small choices kept in this browser (name, theme, devices); losing them is harmless. */
const PREFIX = "mosaic.";

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null; // storage is refused: private windows, strict policies
  }
}

export function keep(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // As above: the choice then lives as long as the page.
  }
}
