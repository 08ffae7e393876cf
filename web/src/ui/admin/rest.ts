/** The administrator's way to the server, and its refusals in words. */
import type { ProblemError } from "../../protocol/problem";
import { RestClient } from "../../protocol/rest";
import { HubCalls } from "../../protocol/rest-hubs";
import type { Messages } from "../text/en";

const KEY = "mosaic.admin";

export function restClient(token: string | null): RestClient {
  return new RestClient({ origin: "", fetch: (...a) => fetch(...a), token });
}

export function hubCalls(token: string | null): HubCalls {
  return new HubCalls({ origin: "", fetch: (...a) => fetch(...a), token });
}

/** The session outlives a reload of this tab and nothing else. */
export function keptToken(): string | null {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export function keepToken(token: string | null): void {
  try {
    if (token === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  } catch {
    // No storage: the session lives as long as the page.
  }
}

export function statusOf(error: unknown): number | null {
  const status = (error as { status?: unknown } | null)?.status;
  return typeof status === "number" ? status : null;
}

export function refusalText(t: Messages, error: unknown): string {
  const status = statusOf(error);
  if (status === null) return t.admin.network;
  if (status === 401) return t.admin.expired;
  if (status === 403) return t.admin.refused;
  const { message, retryAfterS } = error as ProblemError;
  if (status === 429) return t.join.later(Math.ceil(retryAfterS ?? 1));
  return t.admin.failed(message);
}
