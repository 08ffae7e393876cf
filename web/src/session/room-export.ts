/** A whole room as one archive: asked for, waited for, fetched. */
import type { RestClient } from "../protocol/rest";
import type { ExportInfo } from "../protocol/rest-types";

const POLL_MS = 700;

/** How far an export is: 0 to 1. */
export type ExportTold = (progress: number) => void;

/** The server could not make the archive; the message says why. */
export class ExportFailed extends Error {}

/**
 * Export a room. `signal` takes it back: the server stops and forgets it.
 * Rejects with ExportFailed, ProblemError, NetworkError or the signal's reason.
 */
export async function exportRoom(
  rest: RestClient,
  hubId: string,
  told: ExportTold,
  signal: AbortSignal,
): Promise<Blob> {
  let info = await rest.startExport(hubId);
  try {
    while (info.state === "waiting" || info.state === "running") {
      told(info.progress);
      await pause(POLL_MS, signal);
      info = await rest.showExport(hubId, info.export_id);
    }
    signal.throwIfAborted();
    if (info.state === "failed") throw new ExportFailed(info.detail);
    told(1);
    return await rest.fetchExport(hubId, info.export_id);
  } finally {
    release(rest, hubId, info);
  }
}

/** Nobody fetches it a second time. */
function release(rest: RestClient, hubId: string, info: ExportInfo): void {
  void rest.cancelExport(hubId, info.export_id).catch(() => {});
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
