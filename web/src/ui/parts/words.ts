/** Quantities as people read them. */

/** Octets as "12 MB". */
export function sizeWords(octets: number): string {
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, octets)) / 3));
  const value = octets / 1000 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
