import { Suspense, lazy, useEffect, useMemo, useRef, useState } from "react";
import type { RoomSession } from "../../session/api";
import { RemoteSound } from "../media/RemoteSound";
import { Boundary } from "../parts/Boundary";
import { Icon } from "../parts/Icon";
import type { IconName } from "../parts/Icon";
import { Mark } from "../parts/Mark";
import { useText } from "../text";
import { ChatPanel } from "./ChatPanel";
import { ControlBar } from "./ControlBar";
import { DevicesDialog } from "./DevicesDialog";
import { ExportDialog } from "./ExportDialog";
import { AdmitButtons, PeoplePanel } from "./PeoplePanel";
import { RoomMenu } from "./RoomMenu";
import { ScreenStage } from "./ScreenStage";
import { ShortcutsDialog } from "./ShortcutsDialog";
import { StateLine } from "./StateLine";
import { VersionsPanel } from "../versions/VersionsPanel";
import { useAnnouncements } from "./useAnnouncements";
import { useOwnDevices } from "./useOwnDevices";
import { useSnapshot } from "./useSession";
import { useShortcuts } from "./useShortcuts";
import { useStage } from "./useStage";
import type { View } from "./useStage";
import { VideoStrip } from "./VideoStrip";

const Board = lazy(() => import("../board/Board"));
const Notes = lazy(() => import("../notes/Notes"));

type Panel = "people" | "chat" | "versions";

interface WorkspaceProps {
  session: RoomSession;
  pin: string;
}

/** A meeting: the canvas is the page, everything else floats around it. */
export function Workspace({ session, pin }: WorkspaceProps) {
  const t = useText();
  const snapshot = useSnapshot(session);
  const devices = useOwnDevices(session, snapshot);
  const { view, setView, stage } = useStage(snapshot);
  const [panel, setPanel] = useState<Panel | null>(null);
  const [dialog, setDialog] = useState<"keys" | "devices" | "export" | null>(null);
  const [soundBlocked, setSoundBlocked] = useState(false);
  const [soundAttempt, setSoundAttempt] = useState(0);
  const [notesOpened, setNotesOpened] = useState(false);
  const seen = useRef(snapshot.chat.length);
  const news = useAnnouncements(snapshot);
  const me = snapshot.me;

  if (panel === "chat") seen.current = snapshot.chat.length;
  const unread = Math.max(0, snapshot.chat.length - seen.current);
  const notesWanted = notesOpened || view === "notes";
  useEffect(() => {
    if (view === "notes") setNotesOpened(true);
  }, [view]);

  useShortcuts((shortcut) => {
    if (shortcut === "mic") devices.toggleMic();
    else if (shortcut === "camera") devices.toggleCamera();
    else if (shortcut === "hand") session.setHand(!(me?.hand ?? false));
    else setDialog("keys");
  });

  const sounds = useMemo(
    () =>
      snapshot.remote
        .flatMap((media) => [media.camera, media.screen])
        .filter((stream): stream is MediaStream => stream !== null)
        .filter((stream) => stream.getAudioTracks().length > 0),
    [snapshot.remote],
  );
  const togglePanel = (next: Panel) => setPanel(panel === next ? null : next);

  return (
    <div
      className={`workspace ${panel ? "with-panel" : ""}`}
      onKeyDown={(event) => {
        if (event.key === "Escape" && panel && !(event.target as Element).closest(".excalidraw")) {
          setPanel(null);
        }
      }}
    >
      <header className="bar top">
        <div className="bar-start">
          <Mark size={26} />
          <h1 className="sr-only">{snapshot.room?.name ?? t.appName}</h1>
          {snapshot.room && (
            <RoomMenu
              room={snapshot.room}
              pin={pin}
              onVersions={() => setPanel("versions")}
              onDevices={() => setDialog("devices")}
              onShortcuts={() => setDialog("keys")}
              onExport={() => setDialog("export")}
            />
          )}
        </div>
        <nav className="segments" aria-label={t.room.views}>
          <Toggle icon="board" label={t.room.whiteboard} on={view === "board"} onClick={() => setView("board")} />
          <Toggle icon="notes" label={t.room.notes} on={view === "notes"} onClick={() => setView("notes")} />
          {stage && (
            <Toggle icon="screen" label={stage.caption} on={view === "screen"} onClick={() => setView("screen")} />
          )}
        </nav>
        <div className="bar-end" role="group" aria-label={t.room.panels}>
          <Toggle
            icon="people"
            label={t.room.people}
            on={panel === "people"}
            badge={String(snapshot.people.length)}
            onClick={() => togglePanel("people")}
          />
          <Toggle
            icon="chat"
            label={t.room.chat}
            on={panel === "chat"}
            badge={unread > 0 ? String(unread) : undefined}
            badgeText={unread > 0 ? t.room.unread(unread) : undefined}
            onClick={() => togglePanel("chat")}
          />
        </div>
      </header>

      <main className="canvas" aria-label={t.room.canvas}>
        <div className="view" hidden={view !== "board"}>
          <Boundary what={t.room.whiteboard}>
            <Suspense fallback={<Loading />}>
              <Board
                session={session}
                me={me}
                shown={view === "board"}
                onExport={() => setDialog("export")}
              />
            </Suspense>
          </Boundary>
        </div>
        <div className="view" hidden={view !== "notes"}>
          {notesWanted && (
            <Boundary what={t.room.notes}>
              <Suspense fallback={<Loading />}>
                <Notes session={session} me={me} onExport={() => setDialog("export")} />
              </Suspense>
            </Boundary>
          )}
        </div>
        {stage && view === "screen" && (
          <div className="view">
            <ScreenStage stream={stage.stream} caption={stage.caption} />
          </div>
        )}
      </main>

      <VideoStrip snapshot={snapshot} onMore={() => setPanel("people")} />

      {panel && (
        <section className="panel card" aria-label={t[panel].title}>
          <div className="panel-head">
            <h2>{t[panel].title}</h2>
            <button
              type="button"
              className="button quiet square"
              aria-label={t.close}
              onClick={() => setPanel(null)}
            >
              <Icon name="close" />
            </button>
          </div>
          {panel === "chat" ? (
            <ChatPanel
              chat={snapshot.chat}
              meId={me?.id ?? null}
              mayWrite={!(snapshot.room?.moderated && me?.role === "viewer")}
              onSend={(text) => session.sendChat(text)}
            />
          ) : panel === "people" ? (
            <PeoplePanel session={session} snapshot={snapshot} />
          ) : (
            <VersionsPanel
              session={session}
              me={me}
              document={view === "notes" ? "notes/main" : "board"}
            />
          )}
        </section>
      )}

      <div className="cards">
        {me?.role === "host" &&
          panel !== "people" &&
          snapshot.lobby.slice(0, 3).map((entry) => (
            <div className="card ask" key={entry.participantId}>
              <span>{t.people.wants(entry.name)}</span>
              <AdmitButtons
                name={entry.name}
                onAnswer={(admit) => void session.admit(entry.participantId, admit).catch(() => setPanel("people"))}
              />
            </div>
          ))}
        {soundBlocked && (
          <div className="card ask">
            <span>{t.controls.soundBlocked}</span>
            <button
              type="button"
              className="button small primary"
              onClick={() => {
                setSoundBlocked(false);
                setSoundAttempt((n) => n + 1);
              }}
            >
              <Icon name="speaker" size="1.125rem" /> {t.controls.playSound}
            </button>
          </div>
        )}
        {snapshot.local.screen && <p className="card ask sharing">{t.controls.sharing}</p>}
        {devices.failed && (
          <p className="card ask" role="alert">
            {devices.failed === "screen" ? t.controls.shareFailed : t.controls.deviceFailed}
          </p>
        )}
      </div>

      <footer className="bar bottom">
        <StateLine save={snapshot.save} remote={snapshot.remote} />
        <ControlBar session={session} snapshot={snapshot} devices={devices} />
      </footer>

      <div className="sr-only" role="status">
        {news}
      </div>
      <RemoteSound streams={sounds} attempt={soundAttempt} onBlocked={() => setSoundBlocked(true)} />
      {dialog === "keys" && <ShortcutsDialog onClose={() => setDialog(null)} />}
      {dialog === "export" && (
        <ExportDialog
          session={session}
          roomName={snapshot.room?.name ?? t.appName}
          wholeRoom={me?.role === "host" || me?.role === "editor"}
          onClose={() => setDialog(null)}
        />
      )}
      {dialog === "devices" && (
        <DevicesDialog
          devices={devices}
          stream={snapshot.local.camera}
          onSpeaker={() => setSoundAttempt((n) => n + 1)}
          onClose={() => setDialog(null)}
        />
      )}
    </div>
  );
}

function Loading() {
  const t = useText();
  return <p className="centred">{t.loading}</p>;
}

interface ToggleProps {
  icon: IconName;
  label: string;
  on: boolean;
  badge?: string;
  badgeText?: string;
  onClick: () => void;
}

function Toggle({ icon, label, on, badge, badgeText, onClick }: ToggleProps) {
  return (
    <button
      type="button"
      className={`toggle ${on ? "on" : ""}`}
      aria-pressed={on}
      aria-description={badgeText}
      title={label}
      onClick={onClick}
    >
      <Icon name={icon} />
      <span className="toggle-label">{label}</span>
      {badge && (
        <span className={`badge ${badgeText ? "signal" : ""}`} aria-hidden="true">
          {badge}
        </span>
      )}
    </button>
  );
}

export type { View };
