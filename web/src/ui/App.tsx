import { Suspense, lazy, useEffect, useMemo, useState } from "react";
import type { RoomSession } from "../session/api";
import { HubPage } from "./hub/HubPage";
import { EndedPage } from "./join/EndedPage";
import { JoinPage } from "./join/JoinPage";
import { LobbyPage } from "./join/LobbyPage";
import { stopTracks } from "./media/devices";
import { relayWish } from "./parts/relay";
import { go, routeOf, useAddress } from "./parts/route";
import { PresentPage } from "./present/PresentPage";
import { useServices } from "./services";
import { useText } from "./text";
import { leaveIfInside, useSnapshot } from "./workspace/useSession";

const Workspace = lazy(() =>
  import("./workspace/Workspace").then((module) => ({ default: module.Workspace })),
);
const AdminPage = lazy(() => import("./admin/AdminPage"));
const NetcheckPage = lazy(() => import("./netcheck/NetcheckPage"));

/** Which page, by the address. */
export function App() {
  const t = useText();
  const address = useAddress();
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the address is what location holds
  const route = useMemo(() => routeOf(location), [address]);
  switch (route.page) {
    case "present":
      return <PresentPage hubId={route.hubId} pin={route.pin} />;
    case "hub":
      return <HubPage hubId={route.hubId} pin={route.pin} screen={route.screen} />;
    case "admin":
      return (
        <Suspense fallback={<p className="centred">{t.loading}</p>}>
          <AdminPage setupCode={route.setupCode} />
        </Suspense>
      );
    case "netcheck":
      return (
        <Suspense fallback={<p className="centred">{t.loading}</p>}>
          <NetcheckPage shared={route.shared} />
        </Suspense>
      );
    case "join":
      return <Meeting hubId={route.hubId} pin={route.pin} token={route.token} />;
  }
}

interface Entered {
  session: RoomSession;
  hubId: string;
  pin: string;
}

interface MeetingProps {
  hubId: string;
  pin: string;
  token: string | null;
}

/** From the door into the room and out again. */
function Meeting({ hubId, pin, token }: MeetingProps) {
  const t = useText();
  const { enter } = useServices();
  const [entered, setEntered] = useState<Entered | null>(null);
  const [looking, setLooking] = useState(hubId !== "" || token !== null);

  useEffect(() => {
    if (!looking) return;
    let gone = false;
    // An invitation, or a reload: straight in, without camera until asked.
    enter(token, hubId, relayWish())
      .then((session) => {
        if (gone) leaveIfInside(session);
        else if (session) setEntered({ session, hubId, pin });
        // The token has done its work; it should not stay where a shoulder can read it.
        if (token !== null) history.replaceState(null, "", `/join/${hubId}${location.search}`);
      })
      .catch(() => {}) // the door is there for that
      .finally(() => !gone && setLooking(false));
    return () => {
      gone = true;
    };
  }, [looking, token, hubId, pin, enter]);

  // Going to another page of this tab is leaving.
  useEffect(() => () => leaveIfInside(entered?.session), [entered]);

  if (entered) {
    return <Room entered={entered} onOut={() => setEntered(null)} />;
  }
  if (looking) return <p className="centred">{t.loading}</p>;
  return (
    <JoinPage
      key={`${hubId} ${pin}`}
      hubId={hubId}
      pin={pin}
      onJoined={(session, joinedId, usedPin) => {
        setEntered({ session, hubId: joinedId, pin: usedPin });
        history.replaceState(null, "", `/join/${joinedId}${location.search}`);
      }}
    />
  );
}

function Room({ entered, onOut }: { entered: Entered; onOut: () => void }) {
  const t = useText();
  const { session, hubId, pin } = entered;
  const { save, room, local } = useSnapshot(session);
  const ended = save.kind === "ended";

  useEffect(() => {
    document.title = room ? `${room.name} · ${t.appName}` : t.appName;
    return () => {
      document.title = t.appName;
    };
  }, [room, t]);
  useEffect(() => {
    if (!ended) return;
    const { camera, screen } = session.snapshot().local;
    stopTracks(camera);
    stopTracks(screen);
  }, [ended, session]);

  if (save.kind === "ended") {
    return (
      <EndedPage
        reason={save.reason}
        onAgain={() => {
          onOut();
          const back = room?.hubId ?? hubId;
          go(`/join/${back}${pin ? `#pin=${encodeURIComponent(pin)}` : ""}`, { replace: true });
        }}
      />
    );
  }
  if (save.kind === "waiting") {
    return (
      <LobbyPage
        room={room?.name ?? null}
        camera={local.camera}
        onLeave={() => session.leave()}
      />
    );
  }
  return (
    <Suspense fallback={<p className="centred">{t.loading}</p>}>
      <Workspace session={session} pin={pin} />
    </Suspense>
  );
}
