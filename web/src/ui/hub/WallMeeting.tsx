/** A meeting on the wall: the canvas is the screen, the rest fades when nobody touches it. */
import { Suspense, lazy, useEffect, useMemo, useState } from "react";
import type { HubFeedAnswer } from "../../protocol/hub-types";
import type { RoomSession } from "../../session/api";
import type { ScreenSnapshot } from "../../session/hub/screen";
import { RemoteSound } from "../media/RemoteSound";
import { Boundary } from "../parts/Boundary";
import { Icon } from "../parts/Icon";
import type { IconName } from "../parts/Icon";
import { groupHubId } from "../parts/route";
import type { Screen } from "../services";
import { useText } from "../text";
import { ScreenStage } from "../workspace/ScreenStage";
import { StateLine } from "../workspace/StateLine";
import { useAnnouncements } from "../workspace/useAnnouncements";
import { useOwnDevices } from "../workspace/useOwnDevices";
import { useSnapshot } from "../workspace/useSession";
import { useStage } from "../workspace/useStage";
import { byAttention, hasStrip, wallView } from "./layout";
import { useSpoken } from "./useAttention";
import { useBoardEmpty } from "./useBoardEmpty";
import { useQuiet } from "./useQuiet";
import { useWallDevices } from "./useWallDevices";
import { WallPeople } from "./WallPeople";

const Board = lazy(() => import("../board/Board"));

const FADE_MS = 8_000;
/** After this the board follows what others draw again. */
const HANDS_OFF_MS = 30_000;
const STRIP_TILES = 5;
const GRID_TILES = 16;

interface WallMeetingProps {
  screen: Screen;
  snapshot: ScreenSnapshot;
  feed: HubFeedAnswer;
  session: RoomSession;
  dark: boolean;
}

export function WallMeeting({ screen, snapshot: place, feed, session, dark }: WallMeetingProps) {
  const t = useText();
  const snapshot = useSnapshot(session);
  const first = place.screen === 1;
  const { desired, hub } = feed;
  useWallDevices(session, first && !dark && snapshot.save.kind !== "waiting");
  const devices = useOwnDevices(session, snapshot);
  const { stage } = useStage(snapshot);
  const boardEmpty = useBoardEmpty(session);
  const spoken = useSpoken(snapshot.remote);
  const quiet = useQuiet(FADE_MS);
  const handsOff = useQuiet(HANDS_OFF_MS, true);
  const news = useAnnouncements(snapshot);
  const [soundBlocked, setSoundBlocked] = useState(false);
  const [soundAttempt, setSoundAttempt] = useState(0);
  const [failed, setFailed] = useState(false);

  const theirs = stage !== null && stage.key !== "me" ? stage : null;
  const people = byAttention(snapshot.people, snapshot.me, spoken);
  const facts = {
    layout: desired.layout,
    presenting: theirs !== null,
    pictures: people.some((person) => person.cam),
    boardEmpty,
    screen: place.screen,
    screens: place.screens,
  };
  const view = wallView(facts);
  const presenting = view === "screen";
  useEffect(() => {
    screen.draws(presenting);
    return () => screen.draws(false);
  }, [screen, presenting]);
  const sounds = useMemo(
    () =>
      snapshot.remote
        .flatMap((media) => [media.camera, media.screen])
        .filter((stream): stream is MediaStream => stream !== null)
        .filter((stream) => stream.getAudioTracks().length > 0),
    [snapshot.remote],
  );
  const own = desired.room === hub.hub_id;
  const roomId = desired.room ?? hub.hub_id;
  const roomName = snapshot.room?.name ?? hub.name;
  const leave = () => {
    setFailed(false);
    screen.leaveRoom().catch(() => setFailed(true));
  };

  if (snapshot.save.kind === "waiting") {
    return (
      <main className="wall plain">
        <h1>{t.lobby.title}</h1>
        <p className="lead">{snapshot.room ? t.lobby.body(snapshot.room.name) : t.lobby.bodyPlain}</p>
        <button type="button" className="button large" onClick={leave}>
          {t.hub.leave}
        </button>
      </main>
    );
  }

  return (
    <div className={`wall meeting showing-${view} ${quiet ? "quiet" : ""}`}>
      <h1 className="sr-only">{roomName}</h1>
      <main className="wall-canvas" aria-label={t.room.canvas}>
        <div className="view" hidden={view !== "board"}>
          <Boundary what={t.room.whiteboard}>
            <Suspense fallback={<p className="centred">{t.loading}</p>}>
              <Board session={session} me={snapshot.me} shown={view === "board"} follow={handsOff} />
            </Suspense>
          </Boundary>
        </div>
        {view === "screen" && theirs && (
          <div className="view">
            <ScreenStage stream={theirs.stream} caption={theirs.caption} />
          </div>
        )}
        {view === "people" && (
          <WallPeople people={people} snapshot={snapshot} most={GRID_TILES} className="grid" />
        )}
        {view === "people" && people.length === 0 && <p className="centred wall-alone">{t.hub.alone}</p>}
      </main>
      {hasStrip(view, facts) && (
        <WallPeople people={people} snapshot={snapshot} most={STRIP_TILES} className="strip" />
      )}

      <div className="wall-line">
        <StateLine save={snapshot.save} remote={snapshot.remote} />
        {place.link.kind === "lost" && <span className="state signal">{t.join.network}</span>}
        {desired.muted && <span className="state signal">{t.hub.soundOff}</span>}
      </div>
      <dl className="wall-corner">
        <div>
          <dt>{t.join.hubId}</dt>
          <dd>{groupHubId(roomId)}</dd>
        </div>
        {own && (
          <div>
            <dt>{t.join.pin}</dt>
            <dd>{hub.pin}</dd>
          </div>
        )}
      </dl>
      <div className="wall-controls" role="toolbar" aria-label={t.room.controls}>
        {first && (
          <>
            <WallButton
              icon={snapshot.local.micOn ? "mic" : "micOff"}
              label={snapshot.local.micOn ? t.controls.mute : t.controls.unmute}
              off={!snapshot.local.micOn}
              onClick={devices.toggleMic}
            />
            <WallButton
              icon={snapshot.local.camOn ? "camera" : "cameraOff"}
              label={snapshot.local.camOn ? t.controls.stopCamera : t.controls.startCamera}
              off={!snapshot.local.camOn}
              onClick={devices.toggleCamera}
            />
          </>
        )}
        {soundBlocked && (
          <WallButton
            icon="speaker"
            label={t.controls.playSound}
            onClick={() => {
              setSoundBlocked(false);
              setSoundAttempt((n) => n + 1);
            }}
          />
        )}
        <button type="button" className="control leave" onClick={leave}>
          <Icon name="leave" /> {t.hub.leave}
        </button>
      </div>
      {failed && (
        <p className="card ask wall-failed" role="alert">
          {t.join.network}
        </p>
      )}
      <div className="sr-only" role="status">
        {news}
      </div>
      {first && (
        <RemoteSound
          streams={sounds}
          attempt={soundAttempt}
          volume={desired.muted ? 0 : desired.volume / 100}
          onBlocked={() => setSoundBlocked(true)}
        />
      )}
    </div>
  );
}

interface WallButtonProps {
  icon: IconName;
  label: string;
  off?: boolean;
  onClick: () => void;
}

function WallButton({ icon, label, off = false, onClick }: WallButtonProps) {
  return (
    <button type="button" className={`control ${off ? "off" : ""}`} aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}
