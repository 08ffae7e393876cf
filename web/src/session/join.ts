/** The ways into a meeting: Hub ID and PIN, or a token. */
import { NetworkError, ProblemError, RestClient } from "../protocol";
import type {
  JoinProblem,
  JoinRequest,
  RoomSession,
  SessionOptions,
} from "./api";
import { browserEnvironment, type Environment } from "./environment";
import { MeetingSession } from "./meeting";
import { readToken, rememberToken } from "./token-memory";

/** Joining failed, and this is why. */
export class JoinError extends Error {
  override readonly name = "JoinError";
  readonly problem: JoinProblem;

  constructor(problem: JoinProblem, cause: unknown) {
    super(`cannot join: ${problem.kind}`, { cause });
    this.problem = problem;
  }
}

/** Where the server does not say how long to wait. */
const USUAL_WAIT_S = 30;

/**
 * Join with Hub ID and PIN (or, with pin null, a member's session).
 *
 * Rejects with JoinError. accountToken: a session's token, for members.
 */
export async function joinRoom(
  request: JoinRequest,
  options: SessionOptions & { accountToken?: string } = {},
  environment: Environment = browserEnvironment(),
): Promise<RoomSession> {
  const rest = new RestClient({
    origin: environment.origin,
    fetch: environment.fetch,
    token: options.accountToken ?? null,
  });
  try {
    const { token } = await rest.join(request.hubId, request.name, request.pin);
    return enterRoom(token, options, environment);
  } catch (error) {
    throw new JoinError(joinProblem(error), error);
  }
}

/** Enter with a room token: an invitation, or this tab's own after a reload. */
export function enterRoom(
  token: string,
  options: SessionOptions = {},
  environment: Environment = browserEnvironment(),
): RoomSession {
  rememberToken(environment.storage, { token, hubId: null });
  return new MeetingSession(token, options, environment);
}

/**
 * The token of this tab's last meeting, kept over reloads; null after leaving.
 * With hubId, only if it belongs to that room.
 */
export function recentToken(
  hubId?: string,
  environment: Pick<Environment, "storage"> = browserEnvironment(),
): string | null {
  return readToken(environment.storage, hubId);
}

/** What a failed call to join means for the person who tries. */
export function joinProblem(error: unknown): JoinProblem {
  if (error instanceof NetworkError) return { kind: "network" };
  if (!(error instanceof ProblemError)) throw error;
  const { status, retryAfterS, problem } = error;
  if (status === 401 || status === 403 || status === 404) {
    return { kind: "wrong" };
  }
  if (status === 423) {
    const reason = problem.reason === "closed" ? "closed" : "locked";
    return { kind: "unavailable", reason };
  }
  if (status === 429 || status >= 500) {
    return { kind: "later", retryAfterS: retryAfterS ?? USUAL_WAIT_S };
  }
  return { kind: "invalid", detail: problem.detail || problem.title };
}
