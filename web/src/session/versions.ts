/** Versions of the room's documents, over REST. */
import { NetworkError, ProblemError, type RestClient } from "../protocol";
import type { RoomVersions, VersionInfo, VersionProblem } from "./api";

/** Something about versions did not work; `problem` says why. */
export class VersionError extends Error {
  constructor(readonly problem: VersionProblem) {
    super(problem);
  }
}

const BY_STATUS: Record<number, VersionProblem> = {
  403: "forbidden",
  404: "gone",
  409: "too-many",
  423: "forbidden",
  507: "disk-full",
};

/** Why a call failed, in a word that the user interface knows. */
export function versionProblem(error: unknown): VersionProblem {
  if (error instanceof NetworkError) return "network";
  if (error instanceof ProblemError) return BY_STATUS[error.status] ?? "failed";
  return "failed";
}

async function told<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw new VersionError(versionProblem(error));
  }
}

/** hubId: of the room that we are in. */
export function roomVersions(rest: RestClient, hubId: () => string): RoomVersions {
  return {
    list: async (document) => {
      const found = await told(rest.versions(hubId(), document));
      return found.map(
        ({ id, at, label, reason, authors }): VersionInfo => ({
          id,
          at,
          label,
          reason,
          authors: authors.map(({ id, name }) => ({ id, name })),
        }),
      );
    },
    name: async (document, label) => {
      await told(rest.nameVersion(hubId(), document, label));
    },
    state: (version) => told(rest.versionState(hubId(), version)),
    restore: (version) => told(rest.restoreVersion(hubId(), version)),
    rename: async (version, label) => {
      await told(rest.renameVersion(hubId(), version, label));
    },
    remove: (version) => told(rest.removeVersion(hubId(), version)),
  };
}
