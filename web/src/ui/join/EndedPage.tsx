import { useEffect, useRef } from "react";
import type { EndReason } from "../../session/api";
import { PageHead } from "../parts/PageHead";
import { useText } from "../text";

interface EndedPageProps {
  reason: EndReason;
  onAgain: () => void;
}

/** Why the meeting ended for this page, and the way back. */
export function EndedPage({ reason, onAgain }: EndedPageProps) {
  const t = useText();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  const { title, body } = t.ended[reason];
  return (
    <div className="page">
      <PageHead />
      <main className="message-page">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {body && <p className="lead">{body}</p>}
        <div className="row">
          <button type="button" className="button primary" onClick={onAgain}>
            {t.ended.again}
          </button>
          <a className="button" href="/">
            {t.ended.home}
          </a>
        </div>
      </main>
    </div>
  );
}
