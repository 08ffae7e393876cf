/** A meeting in memory: sessions, a server, and time that the test moves. */
import { vi } from "vitest";
import type { SharedDoc } from "../../../src/session/api";
import type { RoomDocument } from "../../../src/session/document";
import type {
  Environment,
  OutsideSigns,
} from "../../../src/session/environment";
import { enterRoom } from "../../../src/session/join";
import {
  MemoryEditKeeper,
  type EditKeeper,
} from "../../../src/session/kept-edits";
import type { MeetingSession } from "../../../src/session/meeting";
import type { MiniServer } from "./mini-server";

let ids = 0;

export interface TestEnvironment extends Environment {
  signs: OutsideSigns | null;
  readonly requests: { method: string; path: string; body: unknown }[];
  answers: Record<string, { status: number; body?: unknown }>;
  readonly stored: Map<string, string>;
  /** States by HTTP come after this. */
  slow: Promise<void>;
}

/** Everything around one browser tab. */
export function environment(
  server: MiniServer,
  keeper: EditKeeper = new MemoryEditKeeper(),
): TestEnvironment {
  const stored = new Map<string, string>();
  const made: TestEnvironment = {
    origin: "https://hub.test",
    signs: null,
    requests: [],
    answers: {},
    stored,
    slow: Promise.resolve(),
    keeper,
    openSocket: server.openSocket,
    createConnection: () => {
      throw new Error("this test makes no calls");
    },
    storage: {
      getItem: (key) => stored.get(key) ?? null,
      setItem: (key, value) => void stored.set(key, value),
      removeItem: (key) => void stored.delete(key),
    },
    watch: (signs) => {
      made.signs = signs;
      return () => {
        made.signs = null;
      };
    },
    randomId: () => `id-${++ids}`,
    fetch: (input, init) => {
      const path = String(input).replace("https://hub.test/api/v1", "");
      const method = init?.method ?? "GET";
      const body: unknown =
        typeof init?.body === "string" ? JSON.parse(init.body) : null;
      made.requests.push({ method, path, body });
      const state = server.states.get(`/api/v1${path}`);
      if (state !== undefined && made.answers[`${method} ${path}`] === undefined) {
        return made.slow.then(() => new Response(state as BodyInit));
      }
      const answer = made.answers[`${method} ${path}`] ?? { status: 404 };
      return Promise.resolve(
        new Response(
          answer.body === undefined ? null : JSON.stringify(answer.body),
          { status: answer.status },
        ),
      );
    },
  };
  return made;
}

/** Enter with a token, and let the welcome arrive. */
export async function enter(
  token: string,
  around: TestEnvironment,
): Promise<MeetingSession> {
  const session = enterRoom(token, {}, around) as MeetingSession;
  await pass(50);
  return session;
}

/** Let time pass, with all that happens in it. */
export async function pass(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
}

/** The text of a document's one text. */
export function text(shared: SharedDoc): string {
  return shared.doc.getText("t").toString();
}

/** Type at the end. */
export function type(shared: SharedDoc, words: string): void {
  const target = shared.doc.getText("t");
  target.insert(target.length, words);
}

/** How often a document was begun anew. */
export function generation(shared: SharedDoc): number {
  return (shared as RoomDocument).generation;
}
