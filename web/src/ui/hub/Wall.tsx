/** A hub's own screen: idle, in a meeting, dark, or without its server. */
import { Suspense, lazy, useEffect, useState, useSyncExternalStore } from "react";
import type { ScreenAddress } from "../../session/hub/address";
import type { ScreenLink } from "../../session/hub/screen";
import { relayWish } from "../parts/relay";
import { useServices } from "../services";
import type { Screen } from "../services";
import { clockTime, useLanguage, useText } from "../text";
import type { Language, Messages } from "../text";
import { IdleWall } from "./IdleWall";

const WallMeeting = lazy(() =>
  import("./WallMeeting").then((module) => ({ default: module.WallMeeting })),
);

export function Wall({ address }: { address: ScreenAddress | null }) {
  const t = useText();
  const { openScreen } = useServices();
  const [screen, setScreen] = useState<Screen | null>(null);
  useEffect(() => {
    let gone = false;
    let opened: Screen | null = null;
    // A ticket is a secret and good once: it does not stay in the address.
    if (address !== null) history.replaceState(null, "", location.pathname + location.search);
    void openScreen(address, relayWish()).then((made) => {
      if (gone) return made.close();
      opened = made;
      setScreen(made);
    });
    return () => {
      gone = true;
      opened?.close();
    };
  }, [address, openScreen]);
  useWallLook();
  if (screen === null) return <p className="centred">{t.loading}</p>;
  return <OpenWall screen={screen} />;
}

/** Sizes and contrasts of a wall (tokens.css), while this page is one. */
function useWallLook(): void {
  useEffect(() => {
    const root = document.documentElement;
    root.dataset.wall = "";
    return () => {
      delete root.dataset.wall;
    };
  }, []);
}

function OpenWall({ screen }: { screen: Screen }) {
  const t = useText();
  const snapshot = useSyncExternalStore(
    (listener) => screen.subscribe(listener),
    () => screen.snapshot(),
  );
  const { feed, link, room } = snapshot;
  useLocale(feed?.desired.locale);
  const dark = feed !== null && !feed.desired.screen_on && link.kind !== "ended";

  if (link.kind === "no-ticket" || link.kind === "ended") {
    const removed = link.kind === "ended" && link.removed;
    return (
      <main className="wall plain">
        <h1>{removed ? t.hub.removed : t.hub.noTicket}</h1>
        <p className="lead">{removed ? t.hub.removedWhy : t.hub.noTicketWhy}</p>
      </main>
    );
  }
  if (feed === null) {
    return (
      <main className="wall plain">
        <h1>{t.hub.opening}</h1>
        <LinkLine link={link} />
      </main>
    );
  }
  return (
    <>
      {room.kind === "inside" ? (
        <Suspense fallback={<p className="centred">{t.loading}</p>}>
          <WallMeeting
            key={room.hubId}
            screen={screen}
            snapshot={snapshot}
            feed={feed}
            session={room.session}
            dark={dark}
          />
        </Suspense>
      ) : (
        <IdleWall screen={screen} snapshot={snapshot} feed={feed} />
      )}
      {dark && <div className="wall-dark" role="img" aria-label={t.hub.dark} />}
    </>
  );
}

/** The hub's language is the page's, as long as somebody sets it. */
function useLocale(locale: string | undefined): void {
  const { choose, language } = useLanguage();
  useEffect(() => {
    const wanted = locale?.slice(0, 2);
    if ((wanted === "en" || wanted === "de") && wanted !== language) choose(wanted);
  }, [locale, language, choose]);
}

export function linkWords(t: Messages, link: ScreenLink, language: Language): string {
  switch (link.kind) {
    case "live":
      return t.hub.live;
    case "lost":
      return t.hub.lost(clockTime(new Date(link.since), language));
    case "connecting":
      return t.hub.opening;
    default:
      return t.hub.noTicket;
  }
}

/** The one line of truth, on the wall too. */
export function LinkLine({ link }: { link: ScreenLink }) {
  const t = useText();
  const { language } = useLanguage();
  const tone = link.kind === "live" ? "calm" : link.kind === "connecting" ? "busy" : "signal";
  return (
    <p className={`state ${tone}`} role="status">
      <i aria-hidden="true" />
      <span>{linkWords(t, link, language)}</span>
    </p>
  );
}
