/** Between meetings: how to join, what comes next, and what is wrong if something is. */
import { useEffect, useState } from "react";
import type { HubEntry, HubFeedAnswer, HubNetwork } from "../../protocol/hub-types";
import type { ScreenSnapshot } from "../../session/hub/screen";
import type { JoinProblem } from "../../session/api";
import { isOver } from "../parts/network";
import { joinProblemOf, joinProblemText, useCountdown } from "../join/problems";
import { Icon } from "../parts/Icon";
import type { Screen } from "../services";
import { clockTime, useLanguage, weekday, useText } from "../text";
import { HowToJoin } from "./HowToJoin";
import { RoomPad } from "./RoomPad";
import { UpdateBadge } from "./UpdateBadge";
import { LinkLine } from "./Wall";
import { WallHead } from "./WallHead";

const MOST_ENTRIES = 3;
const LOOK_MS = 10_000;

interface IdleWallProps {
  screen: Screen;
  snapshot: ScreenSnapshot;
  feed: HubFeedAnswer;
}

export function IdleWall({ screen, snapshot, feed }: IdleWallProps) {
  const t = useText();
  const [pad, setPad] = useState(false);
  const [problem, setProblem] = useState<JoinProblem | null>(null);
  const wait = useCountdown(problem);
  const { hub } = feed;
  const { room, ended, link } = snapshot;

  const join = async (hubId: string, pin?: string) => {
    setProblem(null);
    try {
      await screen.join(hubId, pin);
      setPad(false);
      return null;
    } catch (error) {
      const said = joinProblemOf(error);
      setProblem(said);
      return said;
    }
  };

  const busy = room.kind === "entering";
  return (
    <main className="wall idle">
      <WallHead name={hub.name} />
      <HowToJoin host={hub.join_host} hubId={hub.hub_id} pin={hub.pin} link={hub.join_url} />
      <Agenda entries={feed.calendar} onJoin={(entry) => entry.room && void join(entry.room)} />
      <footer className="wall-foot">
        <div className="wall-words">
          <LinkLine link={link} />
          <NetworkLine network={feed.network} />
          <p role="alert" className="wall-problem">
            {problem && !pad && joinProblemText(t, problem, wait)}
            {!problem && room.kind === "outside" && outsideWords(t, room.why)}
            {!problem && room.kind === "idle" && ended && endedWords(t, ended)}
            {busy && t.hub.entering}
          </p>
        </div>
        <div className="row wall-actions">
          <UpdateBadge update={feed.found} onInstall={() => screen.installUpdate()} />
          <button
            type="button"
            className="button large primary"
            disabled={busy || link.kind !== "live"}
            onClick={() => void join(hub.hub_id)}
          >
            {t.hub.start}
          </button>
          <button
            type="button"
            className="button large"
            disabled={busy || link.kind !== "live"}
            onClick={() => {
              setProblem(null);
              setPad(true);
            }}
          >
            <Icon name="keyboard" /> {t.hub.other}
          </button>
        </div>
      </footer>
      {pad && (
        <RoomPad
          problem={problem && joinProblemText(t, problem, wait)}
          onJoin={join}
          onClose={() => {
            setProblem(null);
            setPad(false);
          }}
        />
      )}
    </main>
  );
}

/** What the box found when it checked its network, if that is no good news. What was
 * found without a server is over: this wall has one. */
function NetworkLine({ network }: { network: HubNetwork | null }) {
  const t = useText();
  if (network === null || isOver(network)) return null;
  const { outcome, verdicts } = network;
  if (outcome !== "degraded" && outcome !== "blocked") return null;
  const first =
    verdicts.find((verdict) => verdict.outcome === "blocked") ??
    verdicts.find((verdict) => verdict.outcome === "degraded");
  return <p className="wall-network">{t.hub.network[outcome](first?.advice ?? "")}</p>;
}

type Words = ReturnType<typeof useText>;

function outsideWords(t: Words, why: string): string {
  return why === "replaced" ? t.hub.replaced : t.hub.outsideAgain;
}

function endedWords(t: Words, why: string): string | null {
  return (t.hub.endedBy as Record<string, string>)[why] ?? null;
}

interface AgendaProps {
  entries: readonly HubEntry[];
  onJoin: (entry: HubEntry) => void;
}

/** The next few meetings of this room; those with a room of ours can be touched. */
function Agenda({ entries, onJoin }: AgendaProps) {
  const t = useText();
  const now = useNow();
  const next = [...entries]
    .filter((entry) => entry.end * 1000 > now)
    .sort((one, other) => one.start - other.start)
    .slice(0, MOST_ENTRIES);
  if (entries.length === 0) return null;
  return (
    <section className="wall-agenda" aria-label={t.hub.next}>
      <h2>{t.hub.next}</h2>
      {next.length === 0 && <p>{t.hub.noEntries}</p>}
      <ul>
        {next.map((entry) => (
          <li key={`${entry.start} ${entry.title}`}>
            <When entry={entry} now={now} />
            <span className="wall-title">{entry.title}</span>
            {entry.room && (
              <button
                type="button"
                className="button"
                aria-label={t.hub.joinEntry(entry.title)}
                onClick={() => onJoin(entry)}
              >
                {t.join.button}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function When({ entry, now }: { entry: HubEntry; now: number }) {
  const t = useText();
  const { language } = useLanguage();
  const start = new Date(entry.start * 1000);
  const running = entry.start * 1000 <= now;
  const today = start.toDateString() === new Date(now).toDateString();
  return (
    <span className="wall-when">
      {running ? t.hub.now : today ? clockTime(start, language) : `${weekday(start, language)} ${clockTime(start, language)}`}
    </span>
  );
}

function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
