/** How one call of the REST API is made; rest.ts and rest-hubs.ts say which there are. */
import { NetworkError, readProblem } from "./problem";

export const BASE = "/api/v1";

/** What a REST client needs. */
export interface RestOptions {
  /** Scheme, host and port; empty for the page's own. */
  origin: string;
  fetch: typeof fetch;
  token?: string | null;
  /** For one call; uploads and downloads get ten times as long. */
  deadlineMs?: number;
}

interface CallOptions {
  body?: BodyInit;
  type?: string;
  deadlineMs?: number;
  cache?: RequestCache;
  /** Ends the call early; it then rejects with a NetworkError. */
  signal?: AbortSignal;
}

/** Makes calls with a token and a deadline; rejects with ProblemError or NetworkError. */
export class RestCaller {
  protected readonly options: RestOptions;
  protected readonly deadlineMs: number;

  constructor(options: RestOptions) {
    this.options = options;
    this.deadlineMs = options.deadlineMs ?? 15_000;
  }

  protected async json<T>(
    method: string,
    path: string,
    body?: object,
    extra: CallOptions = {},
  ): Promise<T> {
    const response = await this.call(method, path, { ...jsonBody(body), ...extra });
    return (await response.json()) as T;
  }

  protected async none(method: string, path: string, body?: object): Promise<void> {
    await this.call(method, path, jsonBody(body));
  }

  protected async call(
    method: string,
    path: string,
    extra: CallOptions = {},
  ): Promise<Response> {
    const headers = new Headers({ Accept: "application/json" });
    if (this.options.token) {
      headers.set("Authorization", `Bearer ${this.options.token}`);
    }
    if (extra.type !== undefined) headers.set("Content-Type", extra.type);
    const abort = new AbortController();
    const given = extra.signal;
    const end = () => abort.abort();
    if (given?.aborted) end();
    given?.addEventListener("abort", end);
    const timer = setTimeout(
      () => abort.abort(),
      extra.deadlineMs ?? this.deadlineMs,
    );
    const send = this.options.fetch;
    let response: Response;
    try {
      response = await send(`${this.options.origin}${BASE}${path}`, {
        method,
        headers,
        // Bearer tokens only: a cookie of the same host must not travel.
        credentials: "omit",
        cache: extra.cache ?? "no-store",
        signal: abort.signal,
        ...(extra.body === undefined ? {} : { body: extra.body }),
      });
      // The deadline covers the body as well.
      if (response.ok && response.status !== 204) {
        response = new Response(await response.blob(), response);
      }
    } catch (error) {
      throw new NetworkError(abort.signal.aborted, error);
    } finally {
      clearTimeout(timer);
      given?.removeEventListener("abort", end);
    }
    if (!response.ok) throw await readProblem(response);
    return response;
  }
}

/** One segment of a path. */
export function part(segment: string): string {
  return encodeURIComponent(segment);
}

function jsonBody(body?: object): { body?: string; type?: string } {
  if (body === undefined) return {};
  return { body: JSON.stringify(body), type: "application/json" };
}
