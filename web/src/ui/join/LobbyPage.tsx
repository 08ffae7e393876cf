import { PageHead } from "../parts/PageHead";
import { StreamVideo } from "../media/StreamVideo";
import { useText } from "../text";

interface LobbyPageProps {
  room: string | null;
  camera: MediaStream | null;
  onLeave: () => void;
}

/** Waiting to be let in: calm, and true. */
export function LobbyPage({ room, camera, onLeave }: LobbyPageProps) {
  const t = useText();
  const hasVideo = (camera?.getVideoTracks().length ?? 0) > 0;
  return (
    <div className="page">
      <PageHead />
      <main className="message-page">
        <div className="waiting-mark" aria-hidden="true">
          <span />
          <span />
          <span />
          <span />
        </div>
        <h1>{t.lobby.title}</h1>
        <p className="lead" role="status">
          {room ? t.lobby.body(room) : t.lobby.bodyPlain}
        </p>
        {camera && hasVideo && (
          <div className="lobby-picture">
            <StreamVideo stream={camera} label={t.devices.preview} mirrored />
          </div>
        )}
        <button type="button" className="button" onClick={onLeave}>
          {t.lobby.leave}
        </button>
      </main>
    </div>
  );
}
