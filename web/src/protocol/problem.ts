/** Failures of the REST API: refused by the server, or never answered. */

/** An RFC 9457 problem document. */
export interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  retry_after_s?: number;
  /** With 423: why the room cannot be entered. */
  reason?: string;
}

/** The server answered with a problem. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;
  readonly problem: ProblemDocument;
  /** Seconds to wait, from the document or the Retry-After header. */
  readonly retryAfterS: number | null;

  constructor(problem: ProblemDocument, retryAfterS: number | null) {
    super(problem.detail || problem.title);
    this.status = problem.status;
    this.problem = problem;
    this.retryAfterS = retryAfterS;
  }
}

/** No answer: no connection, or not within the deadline. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly timedOut: boolean;

  constructor(timedOut: boolean, cause: unknown) {
    super(timedOut ? "no answer in time" : "no connection", { cause });
    this.timedOut = timedOut;
  }
}

/** Read a refusal; a body that is no problem document still gives an error. */
export async function readProblem(response: Response): Promise<ProblemError> {
  let body: Partial<ProblemDocument> = {};
  try {
    const parsed: unknown = await response.json();
    if (typeof parsed === "object" && parsed !== null) body = parsed;
  } catch {
    // A proxy's HTML page, for example: the status is all there is.
  }
  const problem: ProblemDocument = {
    type: body.type ?? "about:blank",
    title: body.title ?? (response.statusText || `status ${response.status}`),
    status: response.status,
    detail: body.detail ?? "",
    ...(typeof body.retry_after_s === "number"
      ? { retry_after_s: body.retry_after_s }
      : {}),
    ...(typeof body.reason === "string" ? { reason: body.reason } : {}),
  };
  return new ProblemError(
    problem,
    problem.retry_after_s ?? retryAfterSeconds(response.headers),
  );
}

/** Retry-After as seconds from now: a number or an HTTP date (RFC 9110). */
export function retryAfterSeconds(headers: Headers): number | null {
  const value = headers.get("Retry-After");
  if (value === null) return null;
  if (/^\d+$/.test(value.trim())) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, (date - Date.now()) / 1000);
}
