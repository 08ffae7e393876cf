/** A refusal to join, in words; "later" counts down. */
import { useEffect, useState } from "react";
import type { JoinProblem } from "../../session/api";
import type { Messages } from "../text/en";

/** The problem that a rejected join carries; anything unknown counts as the network's. */
export function joinProblemOf(error: unknown): JoinProblem {
  const problem = (error as { problem?: JoinProblem } | null)?.problem;
  return problem && typeof problem.kind === "string" ? problem : { kind: "network" };
}

export function joinProblemText(t: Messages, problem: JoinProblem, secondsLeft: number): string {
  switch (problem.kind) {
    case "wrong":
      return t.join.wrong;
    case "later":
      return t.join.later(secondsLeft);
    case "unavailable":
      return problem.reason === "locked" ? t.join.locked : t.join.closed;
    case "invalid":
      return t.join.invalid(problem.detail);
    case "network":
      return t.join.network;
  }
}

/** Seconds until another try is allowed; 0 if it is. */
export function useCountdown(problem: JoinProblem | null): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (problem?.kind !== "later") {
      setLeft(0);
      return;
    }
    const until = Date.now() + problem.retryAfterS * 1000;
    const count = () => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    count();
    const timer = setInterval(count, 1000);
    return () => clearInterval(timer);
  }, [problem]);
  return left;
}
