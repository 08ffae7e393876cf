import { useEffect, useRef, useState } from "react";
import { browserEnvironment } from "../../session/environment";
import { checkNetwork, netcheckIn } from "../../session/netcheck/check";
import type { NetcheckEnvironment } from "../../session/netcheck/check";
import {
  checkNames,
  nearestAt,
  overall,
  packReport,
  unpackReport,
  wayOf,
} from "../../session/netcheck/report";
import type { CheckName, CheckResult, NetcheckReport, PlaceResult } from "../../session/netcheck/report";
import { CopyButton } from "../parts/CopyButton";
import { PageHead } from "../parts/PageHead";
import { go } from "../parts/route";
import { useLanguage, useText } from "../text";
import type { Messages } from "../text/en";
import "./netcheck.css";

interface PageProps {
  /** A result that somebody has shared, from the fragment. */
  shared: string | null;
  environment?: NetcheckEnvironment;
}

/** Whether meetings work from here; no login, and a result that can be passed on. */
export default function NetcheckPage({ shared, environment }: PageProps) {
  const passedOn = shared === null ? null : unpackReport(shared);
  // Another address is another page: a shared result, or a check of one's own.
  return passedOn === null ? (
    <OwnCheck environment={environment} />
  ) : (
    <Frame report={passedOn} checks={passedOn.checks} shared />
  );
}

function OwnCheck({ environment }: { environment: NetcheckEnvironment | undefined }) {
  const [checks, setChecks] = useState<readonly CheckResult[]>([]);
  const [report, setReport] = useState<NetcheckReport | null>(null);
  const [run, setRun] = useState(0);
  const env = useRef(environment);
  useEffect(() => {
    let gone = false;
    env.current ??= netcheckIn(browserEnvironment());
    void checkNetwork(env.current, (done) => !gone && setChecks(done)).then(
      (found) => !gone && setReport(found),
    );
    return () => {
      gone = true;
    };
  }, [run]);
  return (
    <Frame
      report={report}
      checks={checks}
      onAgain={() => {
        setChecks([]);
        setReport(null);
        setRun((n) => n + 1);
      }}
    />
  );
}

interface FrameProps {
  report: NetcheckReport | null;
  checks: readonly CheckResult[];
  shared?: boolean;
  onAgain?: () => void;
}

function Frame({ report, checks, shared = false, onAgain }: FrameProps) {
  const t = useText();
  const { language } = useLanguage();
  useEffect(() => {
    document.title = `${t.netcheck.title} · ${t.appName}`;
    return () => {
      document.title = t.appName;
    };
  }, [t]);
  const outcome = report === null ? null : overall(report.checks);
  const when = report && new Date(report.at * 1000).toLocaleString(language);
  return (
    <div className="page">
      <PageHead />
      <main className="single">
        <section className="card form-card netcheck" aria-labelledby="netcheck">
          <h1 id="netcheck">{t.netcheck.title}</h1>
          {shared && when && <p className="lead">{t.netcheck.sharedFrom(when)}</p>}
          <p className={`netcheck-verdict ${outcome ?? "running"}`} role="status">
            {outcome === null || report === null
              ? t.netcheck.running
              : verdictWords(t, report.checks)}
          </p>
          <ul className="netcheck-list">
            {checkNames.map((name) => (
              <Row key={name} name={name} check={checks.find((each) => each.name === name)} />
            ))}
          </ul>
          {report && report.places.length > 0 && <Places places={report.places} />}
          <div className="row">
            {shared ? (
              <button type="button" className="button primary" onClick={() => go("/netcheck")}>
                {t.netcheck.checkHere}
              </button>
            ) : (
              <button
                type="button"
                className="button primary"
                disabled={report === null}
                onClick={onAgain}
              >
                {t.netcheck.again}
              </button>
            )}
            {report && (
              <CopyButton
                text={`${location.origin}/netcheck#r=${packReport(report)}`}
                label={t.netcheck.copyLink}
              />
            )}
          </div>
          <p className="lead netcheck-note">{t.netcheck.privacy}</p>
        </section>
      </main>
    </div>
  );
}

function Row({ name, check }: { name: CheckName; check: CheckResult | undefined }) {
  const t = useText();
  const outcome = check?.outcome ?? "running";
  return (
    <li className={`netcheck-row ${outcome}`}>
      <span className="netcheck-mark" aria-hidden="true" />
      <span className="netcheck-name">{t.netcheck.names[name]}</span>
      <span className="netcheck-detail">{check ? detailWords(t, check) : "…"}</span>
    </li>
  );
}

/** Where relays are, and which is the nearest: calls from here use that one. */
function Places({ places }: { places: readonly PlaceResult[] }) {
  const t = useText();
  const nearest = nearestAt(places);
  return (
    <section aria-labelledby="places">
      <h2 id="places" className="netcheck-places">
        {t.netcheck.places}
      </h2>
      <ul className="netcheck-list">
        {places.map(({ name, rttMs, way }, at) => (
          <li key={at} className={`netcheck-row ${rttMs === null ? "blocked" : "ok"}`}>
            <span className="netcheck-mark" aria-hidden="true" />
            <span className="netcheck-name">
              {name || (at === 0 ? t.netcheck.here : t.netcheck.place(at + 1))}{" "}
              {at === nearest && <span className="tag">{t.netcheck.nearest}</span>}
            </span>
            <span className="netcheck-detail">
              {rttMs === null || way === null
                ? t.netcheck.outcomes.blocked
                : t.netcheck.away(Math.round(rttMs), way.toUpperCase())}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function detailWords(t: Messages, { name, outcome, ms, value }: CheckResult): string {
  if (outcome === "blocked" || outcome === "skipped") return t.netcheck.outcomes[outcome];
  if (name === "bandwidth" && value !== null) return t.netcheck.speed(value / 1000);
  if (name === "quality" && ms !== null) return t.netcheck.trip(Math.round(ms), Math.round(value ?? 0));
  return ms === null ? t.netcheck.outcomes[outcome] : t.netcheck.took(Math.round(ms));
}

function verdictWords(t: Messages, checks: readonly CheckResult[]): string {
  const of = (name: CheckName) => checks.find((check) => check.name === name)?.outcome;
  const words = t.netcheck.verdicts;
  if (of("rest") === "blocked") return words.noServer;
  if (of("drcp") === "blocked") return words.noSocket;
  switch (wayOf(checks)) {
    case null:
      return words.noMedia;
    case "tcp":
      return words.byTcp;
    case "tls":
      return words.byTls;
    case "udp":
      return of("quality") === "degraded" || of("bandwidth") === "degraded"
        ? words.poor
        : words.good;
  }
}
