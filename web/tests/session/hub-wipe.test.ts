// @vitest-environment jsdom
import { beforeEach, describe, expect, it } from "vitest";
import { wipeMeeting } from "../../src/session/hub/wipe";

beforeEach(() => {
  localStorage.clear();
  sessionStorage.clear();
});

describe("the end of a meeting on a wall", () => {
  it("forgets rooms and names, and keeps the settings of the machine", async () => {
    for (const key of ["theme", "language", "speaker", "microphone", "camera"]) {
      localStorage.setItem(`mosaic.${key}`, "chosen");
    }
    localStorage.setItem("mosaic.name", "Ada");
    localStorage.setItem("excalidraw-library", "[1]");
    sessionStorage.setItem("mosaic.room", "{}");
    sessionStorage.setItem("mosaic.hub", "{}");
    await wipeMeeting();
    expect(Object.keys(localStorage).sort()).toEqual(
      ["camera", "language", "microphone", "speaker", "theme"].map((key) => `mosaic.${key}`),
    );
    expect(Object.keys(sessionStorage)).toEqual(["mosaic.hub"]);
  });

  it("forgets kept edits and caches", async () => {
    const done: string[] = [];
    const transaction = {
      objectStore: (name: string) => ({
        clear: () => {
          done.push(`clear ${name}`);
          queueMicrotask(() => transaction.oncomplete());
        },
      }),
      oncomplete: () => {},
    };
    const database = { transaction: () => transaction, close: () => done.push("close") };
    const indexedDB = {
      open: (name: string) => {
        done.push(`open ${name}`);
        const request = { result: database, onsuccess: () => {} };
        queueMicrotask(() => request.onsuccess());
        return request;
      },
    } as unknown as IDBFactory;
    const caches = {
      keys: async () => ["v1"],
      delete: async (name: string) => done.push(`delete ${name}`),
    } as unknown as CacheStorage;
    await wipeMeeting({ indexedDB, local: null, session: null, caches });
    expect(done).toEqual(["open mosaic-unsaved-edits", "clear edits", "close", "delete v1"]);
  });

  it("does not fail where the browser keeps nothing", async () => {
    const indexedDB = {
      open: () => {
        throw new DOMException("refused", "SecurityError");
      },
    } as unknown as IDBFactory;
    await wipeMeeting({ indexedDB, local: null, session: null, caches: undefined });
  });
});
