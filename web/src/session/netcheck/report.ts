/** What the network check found, and its short form for a link. */

export const outcomes = ["ok", "degraded", "blocked", "skipped"] as const;
export type Outcome = (typeof outcomes)[number];

export const checkNames = [
  "rest",
  "drcp",
  "turn-udp",
  "turn-tcp",
  "turn-tls",
  "quality",
  "bandwidth",
] as const;
export type CheckName = (typeof checkNames)[number];

/** Ways of media, the one to prefer first. */
export type Way = "udp" | "tcp" | "tls";

/**
 * One thing that was tried. ms: how long it took, for `quality` the round trip.
 * value: jitter in ms for `quality`, kbit/s for `bandwidth`.
 */
export interface CheckResult {
  readonly name: CheckName;
  readonly outcome: Outcome;
  readonly ms: number | null;
  readonly value: number | null;
}

/**
 * A place with relays. name: "" for a server that has none; null where it is not
 * known, in a link. rttMs, way: null where no relay of it answers.
 */
export interface PlaceResult {
  readonly name: string | null;
  readonly rttMs: number | null;
  readonly way: Way | null;
}

/** at: Unix seconds. places: the server's own first; empty where there is one alone. */
export interface NetcheckReport {
  readonly at: number;
  readonly checks: readonly CheckResult[];
  readonly places: readonly PlaceResult[];
}

/** The index of the nearest; -1 if none answers. */
export function nearestAt(places: readonly PlaceResult[]): number {
  let best = -1;
  let least = Infinity;
  places.forEach(({ rttMs }, at) => {
    if (rttMs !== null && rttMs < least) [best, least] = [at, rttMs];
  });
  return best;
}

const rank: Record<Outcome, number> = { skipped: 0, ok: 0, degraded: 1, blocked: 2 };

/** The way that media will take; null where there is none. */
export function wayOf(checks: readonly CheckResult[]): Way | null {
  for (const way of ["udp", "tls", "tcp"] as const) {
    if (checks.some((check) => check.name === `turn-${way}` && check.outcome === "ok")) return way;
  }
  return null;
}

/** In one word: blocked if nobody can meet, degraded if it will be poor. */
export function overall(checks: readonly CheckResult[]): Outcome {
  const of = (name: CheckName) => checks.find((check) => check.name === name)?.outcome ?? "skipped";
  if (of("rest") === "blocked" || of("drcp") === "blocked") return "blocked";
  const way = wayOf(checks);
  if (way === null) return "blocked";
  if (way !== "udp" || rank[of("quality")] > 0 || rank[of("bandwidth")] > 0) return "degraded";
  return "ok";
}

const FORMAT = 1;
const MAX_LINK_CHARS = 1000;
const MAX_NUMBER = 1e7;

/** Rows of places begin here: their number, then way and round trip. */
const PLACE_AT = 100;
const MAX_PLACES = 20;
const ways = ["udp", "tcp", "tls"] as const;

/** A report as text for a fragment: numbers alone, no address and no name. */
export function packReport({ at, checks, places }: NetcheckReport): string {
  const rows = checks.map(({ name, outcome, ms, value }) => [
    checkNames.indexOf(name),
    outcomes.indexOf(outcome),
    ms === null ? -1 : Math.round(ms),
    value === null ? -1 : Math.round(value),
  ]);
  const far = places.slice(0, MAX_PLACES).map(({ rttMs, way }, number) => [
    PLACE_AT + number,
    rttMs === null ? outcomes.indexOf("blocked") : outcomes.indexOf("ok"),
    rttMs === null ? -1 : Math.round(rttMs),
    way === null ? -1 : ways.indexOf(way),
  ]);
  return [FORMAT, Math.round(at), ...[...rows, ...far].flat()].join(".");
}

/** The report in such a text; null for anything that is none. */
export function unpackReport(text: string): NetcheckReport | null {
  if (text.length > MAX_LINK_CHARS || !/^[\d.-]+$/.test(text)) return null;
  const [format, at, ...rest] = text.split(".").map(Number);
  const sane = rest.every((n) => Number.isInteger(n) && n >= -1 && n <= MAX_NUMBER);
  if (format !== FORMAT || at === undefined || !Number.isInteger(at) || at < 0) return null;
  if (at > 1e11 || !sane || rest.length === 0 || rest.length % 4 !== 0) return null;
  const checks: CheckResult[] = [];
  const places: PlaceResult[] = [];
  for (let i = 0; i < rest.length; i += 4) {
    const [nameAt, outcomeAt, ms, value] = rest.slice(i, i + 4) as [number, number, number, number];
    if (nameAt >= PLACE_AT) {
      const way = ms < 0 ? null : ways[value];
      if (nameAt !== PLACE_AT + places.length || way === undefined) return null;
      if (places.length === MAX_PLACES) return null;
      places.push({ name: null, rttMs: ms < 0 ? null : ms, way });
      continue;
    }
    const name = checkNames[nameAt];
    const outcome = outcomes[outcomeAt];
    if (name === undefined || outcome === undefined) return null;
    if (checks.some((check) => check.name === name)) return null;
    checks.push({ name, outcome, ms: ms < 0 ? null : ms, value: value < 0 ? null : value });
  }
  return { at, checks, places };
}
