import { useEffect, useMemo, useState } from "react";
import type { LoginAnswer } from "../../protocol/rest-types";
import { PageHead } from "../parts/PageHead";
import { go } from "../parts/route";
import { useText } from "../text";
import { LogIn, SetUp } from "./Doors";
import { hubCalls, keepToken, keptToken, refusalText, restClient, statusOf } from "./rest";
import { HubsSection } from "./hubs/HubsSection";
import { RoomsSection } from "./RoomsSection";
import { UsersSection } from "./UsersSection";

interface Who {
  token: string;
  name: string;
  admin: boolean;
}

/** Rooms and accounts, for those who look after them. */
export default function AdminPage({ setupCode }: { setupCode: string | null }) {
  const t = useText();
  const [who, setWho] = useState<Who | null>(null);
  const [note, setNote] = useState<string | null>(null);
  const [reading, setReading] = useState(setupCode === null && keptToken() !== null);

  useEffect(() => {
    const token = keptToken();
    if (setupCode !== null || token === null) return;
    let gone = false;
    restClient(token)
      .me()
      .then(
        (me) => {
          if (!gone) setWho({ token, name: me.account ?? me.name, admin: me.admin });
        },
        (error: unknown) => {
          if (statusOf(error) === 401) keepToken(null);
          if (!gone) setNote(statusOf(error) === 401 ? null : refusalText(t, error));
        },
      )
      .finally(() => !gone && setReading(false));
    return () => {
      gone = true;
    };
  }, [setupCode, t]);

  const enter = (answer: LoginAnswer) => {
    keepToken(answer.token);
    setNote(null);
    setWho({ token: answer.token, name: answer.account.name, admin: answer.account.admin });
    go("/admin", { replace: true });
  };
  const leave = (reason: string | null) => {
    keepToken(null);
    setWho(null);
    setNote(reason);
  };

  if (who) return <Desk who={who} onOut={leave} />;
  return (
    <div className="page">
      <PageHead />
      <main className="single">
        {reading ? (
          <p>{t.loading}</p>
        ) : setupCode !== null ? (
          <SetUp
            code={setupCode}
            onIn={enter}
            onUsed={() => {
              setNote(t.admin.codeUsed);
              go("/admin", { replace: true });
            }}
          />
        ) : (
          <LogIn key={note} onIn={enter} note={note} />
        )}
      </main>
    </div>
  );
}

function Desk({ who, onOut }: { who: Who; onOut: (reason: string | null) => void }) {
  const t = useText();
  const rest = useMemo(() => restClient(who.token), [who.token]);
  const hubs = useMemo(() => hubCalls(who.token), [who.token]);
  const [problem, setProblem] = useState<string | null>(null);
  const refused = (error: unknown) => {
    if (statusOf(error) === 401) onOut(t.admin.expired);
    else setProblem(refusalText(t, error));
  };
  return (
    <div className="page">
      <PageHead>
        <span className="who">{who.name}</span>
        <button
          type="button"
          className="button"
          onClick={() => {
            void rest.logOut().catch(() => {});
            onOut(null);
          }}
        >
          {t.admin.logOut}
        </button>
      </PageHead>
      <main className="desk">
        <h1>{t.admin.title}</h1>
        <div role="alert" className="form-problem">
          {problem}
        </div>
        <RoomsSection rest={rest} onRefused={refused} />
        <HubsSection calls={hubs} admin={who.admin} onRefused={refused} />
        {who.admin && <UsersSection rest={rest} me={who.name} onRefused={refused} />}
      </main>
    </div>
  );
}
