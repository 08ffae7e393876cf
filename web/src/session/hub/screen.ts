/** A screen of a hub: from its ticket to the meeting on the wall, and back. */
import {
  Backoff,
  HubCalls,
  NetworkError,
  ProblemError,
  type HubFeedAnswer,
  type ScreenAnswer,
} from "../../protocol";
import type { EndReason, RoomSession, SessionOptions } from "../api";
import type { Environment } from "../environment";
import { JoinError, joinProblem } from "../join";
import { SnapshotStore } from "../snapshot-store";
import type { ScreenAddress } from "./address";
import { HubFeed, type FeedLink } from "./feed";
import { recallScreen, rememberScreen, type RememberedScreen } from "./screen-memory";

/** A wall without its server goes to the agent's own page after this long. */
export const PATIENCE_MS = 15_000;
/** Of a token's life, when it is renewed. */
const RENEW_AT = 0.6;
const LOOK_MS = 1_000;
/** An agent that hears nothing for longer knows that this page is gone. */
const TELL_MS = 20_000;
/** A stroke made just before leaving gets this long to reach the server. */
const LAST_STROKE_MS = 2_000;

/** How the screen stands with the server. Times are milliseconds since 1970. */
export type ScreenLink =
  | FeedLink
  | { readonly kind: "no-ticket" }; // neither a ticket nor what an earlier one gave

/** Where the wall is. */
export type ScreenRoom =
  | { readonly kind: "idle" }
  | { readonly kind: "entering"; readonly hubId: string }
  | { readonly kind: "inside"; readonly hubId: string; readonly session: RoomSession }
  | { readonly kind: "outside"; readonly hubId: string; readonly why: EndReason | "network" };

export interface ScreenSnapshot {
  readonly link: ScreenLink;
  readonly feed: HubFeedAnswer | null;
  readonly room: ScreenRoom;
  readonly screen: number;
  readonly screens: number;
  /** Why the last meeting ended, if not by anybody here; until the next one. */
  readonly ended: EndReason | null;
}

/** What a hub's screen needs of its surroundings; tests give others. */
export interface ScreenSurroundings {
  readonly environment: Environment;
  enter(token: string, options: SessionOptions): RoomSession;
  /** Forget what meetings left in the browser. */
  wipe(): Promise<void>;
  /** Say to the agent on the box what this screen shows; may fail in silence. */
  tell(local: string, screen: number, shown: string): void;
  /** Leave this page for another. */
  goTo(address: string): void;
  readonly options: SessionOptions;
  readonly random?: () => number;
}

/** Observable like a RoomSession: snapshot() and subscribe(). */
export class HubScreen {
  readonly #around: ScreenSurroundings;
  readonly #store: SnapshotStore<ScreenSnapshot>;
  readonly #address: Pick<ScreenAddress, "local" | "screen" | "screens">;
  readonly #backoff: Backoff;
  readonly #unwatch: () => void;
  readonly #look: ReturnType<typeof setInterval>;
  #calls: HubCalls;
  #screen: RememberedScreen | null;
  #feed: HubFeed | null = null;
  #opening: ScreenLink = { kind: "connecting" };
  #room: ScreenRoom = { kind: "idle" };
  #ended: EndReason | null = null;
  #unsubscribe: () => void = () => {};
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  /** Somebody here touched "Leave". */
  #leaving = false;
  /** In the meeting, this screen draws what somebody presents. */
  #presenting = false;
  /** What the agent heard last, and when. */
  #said = { shown: "", at: 0 };
  /** Counts the rooms, so that a late answer for an earlier one is known. */
  #turn = 0;

  /** address: what the fragment said; null after a reload. */
  constructor(address: ScreenAddress | null, around: ScreenSurroundings) {
    const { environment } = around;
    this.#around = around;
    this.#backoff = new Backoff(around.random ?? Math.random);
    this.#store = new SnapshotStore(() => this.#build());
    this.#screen = recallScreen(environment.storage);
    this.#address = address ?? this.#screen ?? { local: null, screen: 1, screens: 1 };
    this.#calls = new HubCalls({ origin: environment.origin, fetch: environment.fetch });
    this.#unwatch = environment.watch({
      network: () => this.#feed?.hint(),
      visible: () => this.#feed?.hint(),
      leaving: () => {},
    });
    this.#look = setInterval(() => {
      this.#tell();
      this.#considerLocal();
    }, LOOK_MS);
    void this.#open(address?.ticket ?? null);
  }

  snapshot(): ScreenSnapshot {
    return this.#store.get();
  }

  subscribe(listener: () => void): () => void {
    return this.#store.subscribe(listener);
  }

  /**
   * By touch: into a room; pin for one that is neither ours nor in the
   * calendar. Rejects with JoinError.
   */
  async join(hubId: string, pin?: string): Promise<void> {
    try {
      await this.#calls.setRoom(this.#hubId(), hubId, pin);
    } catch (error) {
      throw new JoinError(joinProblem(error), error);
    }
  }

  /** By touch: out of the room. Lets a last stroke reach the server. */
  async leaveRoom(): Promise<void> {
    if (this.#room.kind === "inside") await saved(this.#room.session);
    this.#leaving = true;
    try {
      await this.#calls.setRoom(this.#hubId(), null);
    } finally {
      this.#leaving = false;
    }
  }

  /** By touch: let the box install the update that it found. */
  async installUpdate(): Promise<void> {
    await this.#calls.installUpdate(this.#hubId());
  }

  /** Whether it draws what somebody presents; nobody but the page knows. */
  draws(presenting: boolean): void {
    this.#presenting = presenting;
  }

  /** Stop everything; the page goes away. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#look);
    clearTimeout(this.#renewal);
    clearTimeout(this.#again);
    this.#unwatch();
    this.#feed?.stop();
    this.#out();
  }

  #build(): ScreenSnapshot {
    const { screen, screens } = this.#address;
    return {
      link: this.#opening.kind === "live" && this.#feed ? this.#feed.link : this.#opening,
      feed: this.#feed?.latest ?? null,
      room: this.#room,
      screen,
      screens,
      ended: this.#ended,
    };
  }

  #hubId(): string {
    if (this.#screen === null) throw new NetworkError(false, "not opened yet");
    return this.#screen.hubId;
  }

  /** Trade the ticket, or go on with the token of before a reload. */
  async #open(ticket: string | null): Promise<void> {
    while (ticket !== null && !this.#closed) {
      try {
        this.#opened(await this.#calls.openScreen(ticket));
        return;
      } catch (error) {
        if (error instanceof ProblemError && error.status < 500 && error.status !== 429) {
          ticket = null; // used or too old: perhaps by this very page, before a reload
        } else {
          this.#lost();
          await new Promise((wake) => setTimeout(wake, this.#backoff.next()));
        }
      }
    }
    if (this.#closed) return;
    if (this.#screen === null) {
      this.#opening = { kind: "no-ticket" };
      this.#store.changed();
      return;
    }
    this.#calls = this.#calls.withToken(this.#screen.token);
    this.#follow(this.#screen.hubId);
    void this.#renew();
  }

  #opened(answer: ScreenAnswer): void {
    if (this.#closed) return;
    this.#keep(answer);
    this.#follow(answer.hub_id);
  }

  #keep({ token, hub_id, expires_in_s }: ScreenAnswer): void {
    this.#calls = this.#calls.withToken(token);
    this.#screen = { token, hubId: hub_id, ...this.#place() };
    rememberScreen(this.#around.environment.storage, this.#screen);
    this.#renewLater(expires_in_s * 1000 * RENEW_AT);
  }

  #place(): Pick<RememberedScreen, "local" | "screen" | "screens"> {
    const { local, screen, screens } = this.#address;
    return { local, screen, screens };
  }

  #renewLater(milliseconds: number): void {
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => void this.#renew(), milliseconds);
  }

  async #renew(): Promise<void> {
    try {
      const answer = await this.#calls.renewScreen();
      if (!this.#closed) this.#keep(answer);
    } catch (error) {
      // A token that is over shows in the feed; anything else is tried again.
      const over = error instanceof ProblemError && error.status < 500 && error.status !== 429;
      if (!over && !this.#closed) this.#renewLater(10_000);
    }
  }

  #follow(hubId: string): void {
    this.#opening = { kind: "live" };
    this.#feed = new HubFeed({
      calls: () => this.#calls,
      hubId,
      changed: () => this.#told(),
      ...(this.#around.random === undefined ? {} : { random: this.#around.random }),
    });
    this.#feed.start();
    this.#store.changed();
  }

  #lost(): void {
    if (this.#opening.kind === "lost") return;
    this.#opening = { kind: "lost", since: Date.now() };
    this.#store.changed();
  }

  /** The feed or its link changed: be where we shall be. */
  #told(): void {
    const feed = this.#feed;
    if (feed === null || this.#closed) return;
    if (feed.link.kind === "ended") {
      rememberScreen(this.#around.environment.storage, null);
      this.#screen = null;
      // A token that ran out while the server was away comes back with a new ticket,
      // and what is not saved yet waits for that.
      this.#go(null, feed.link.removed);
      this.#considerLocal();
    } else if (feed.link.kind === "live" && feed.latest !== null) {
      this.#go(feed.latest.desired.room);
    }
    this.#store.changed();
  }

  #go(wanted: string | null, forget = true): void {
    const here = this.#room.kind === "idle" ? null : this.#room.hubId;
    if (wanted === here && this.#turn > 0) return;
    this.#turn += 1;
    const turn = this.#turn;
    clearTimeout(this.#again);
    this.#out();
    this.#room = wanted === null ? { kind: "idle" } : { kind: "entering", hubId: wanted };
    this.#store.changed();
    // Idle at the start is a reason too: whoever was killed in a meeting left something
    // behind. But a reload in the middle of one must not lose what was not saved yet.
    const keep = !forget || (wanted !== null && turn === 1);
    const wiped = keep ? Promise.resolve() : this.#around.wipe();
    if (wanted === null) return;
    this.#ended = null;
    void wiped.then(() => this.#enter(wanted, turn));
  }

  async #enter(wanted: string, turn: number): Promise<void> {
    if (this.#closed || turn !== this.#turn) return;
    try {
      const answer = await this.#calls.roomToken(this.#hubId());
      if (this.#closed || turn !== this.#turn || answer.room !== wanted) return;
      const session = this.#around.enter(answer.token, this.#around.options);
      this.#backoff.reset();
      this.#unsubscribe = session.subscribe(() => {
        const { save } = session.snapshot();
        if (save.kind === "ended") this.#sessionEnded(wanted, save.reason);
      });
      this.#room = { kind: "inside", hubId: wanted, session };
      this.#store.changed();
    } catch {
      if (this.#closed || turn !== this.#turn) return;
      this.#room = { kind: "outside", hubId: wanted, why: "network" };
      this.#store.changed();
      this.#again = setTimeout(() => void this.#enter(wanted, turn), this.#backoff.next());
    }
  }

  /** The meeting is over for us, and nobody here said so. */
  #sessionEnded(hubId: string, why: EndReason): void {
    if (this.#room.kind !== "inside" || this.#room.hubId !== hubId) return;
    this.#unsubscribe();
    this.#room = { kind: "outside", hubId, why };
    if (!this.#leaving) this.#ended = why;
    this.#store.changed();
    void this.#afterEnd(hubId, why, this.#turn);
  }

  /**
   * A token that ended may mean that the hub was sent elsewhere, so the feed is
   * asked first. Still here: an old token is replaced; whoever was put out
   * stays out, and the wall is idle again.
   */
  async #afterEnd(hubId: string, why: EndReason, turn: number): Promise<void> {
    try {
      const feed = await this.#feed?.refresh();
      if (this.#closed || turn !== this.#turn || feed?.desired.room !== hubId) return;
      if (why === "replaced") return; // another page of this screen has the room
      if (why === "expired") {
        await this.#enter(hubId, turn);
        return;
      }
      await this.#calls.setRoom(this.#hubId(), null);
    } catch {
      if (this.#closed || turn !== this.#turn) return;
      this.#again = setTimeout(
        () => void this.#afterEnd(hubId, why, turn),
        this.#backoff.next(),
      );
    }
  }

  #out(): void {
    this.#unsubscribe();
    this.#unsubscribe = () => {};
    if (this.#room.kind !== "inside") return;
    const { session } = this.#room;
    if (session.snapshot().save.kind !== "ended") session.leave();
  }

  /** Without a server, the agent's page says what is wrong. A call that lives is left alone. */
  #considerLocal(): void {
    const { local } = this.#address;
    const { link } = this.snapshot();
    if (local === null || this.#closed) return;
    const gone = link.kind === "lost" && Date.now() - link.since > PATIENCE_MS;
    const over = link.kind === "ended" || link.kind === "no-ticket";
    if (!(over || (gone && !this.#calling()))) return;
    this.close();
    this.#around.goTo(local);
  }

  #tell(): void {
    const { local, screen } = this.#address;
    const drawn = shownBy(this.snapshot());
    const shown = drawn === "meeting" && this.#presenting ? "presenting" : drawn;
    if (local === null) return;
    if (shown === this.#said.shown && Date.now() - this.#said.at < TELL_MS) return;
    this.#said = { shown, at: Date.now() };
    this.#around.tell(local, screen, shown);
  }

  #calling(): boolean {
    if (this.#room.kind !== "inside") return false;
    const { remote } = this.#room.session.snapshot();
    return remote.some(({ call }) => call.kind === "connected");
  }
}

/** In the agent's words. */
function shownBy({ link, feed, room }: ScreenSnapshot): string {
  if (link.kind !== "live" || feed === null) return "no connection";
  if (!feed.desired.screen_on) return "dark";
  return room.kind === "inside" ? "meeting" : "idle";
}

/** Until every edit is saved, or for LAST_STROKE_MS. */
function saved(session: RoomSession): Promise<void> {
  const saving = () => session.snapshot().save.kind === "saving";
  if (!saving()) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(done, LAST_STROKE_MS);
    const stop = session.subscribe(() => saving() || done());
  });
}
