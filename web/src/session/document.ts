/** One shared document: its Yjs state, its channel, its unsaved edits. */
import {
  Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates,
} from "y-protocols/awareness";
import * as Y from "yjs";
import {
  SyncStep,
  type Message,
  type MessageBody,
  type SnapshotRef,
} from "../protocol";
import type { SharedDoc } from "./api";
import { EditShelf } from "./edit-shelf";
import type { EditKeeper } from "./kept-edits";
import { missingUpdate } from "./missing-update";
import { Tick } from "./tick";
import { UnsavedQueue } from "./unsaved-queue";

/** Why a document's edits are not being saved. */
export type SaveProblem = "disk-full" | "too-big" | "forbidden" | "refused";

/** What a document needs of its meeting. */
export interface DocumentHost {
  /** Send messages; false unless the connection is live. */
  send(...messages: Message[]): boolean;
  /** Something that a snapshot shows has changed. */
  changed(): void;
  /** A channel number that is not in use. */
  nextChannel(): number;
  /** The server's limit. */
  maxStateVectorBytes(): number;
  /** The state that the server referred to; rejects if it is not to be had. */
  fetchState(reference: SnapshotRef): Promise<Uint8Array>;
  /** Whose edits these are; null before the first welcome. */
  owner(): { hubId: string; id: string; name: string } | null;
}

/** What the code of an error on a document's channel means for saving. */
function problemOf(code: number | null): SaveProblem {
  if (code === 507) return "disk-full";
  if (code === 4413) return "too-big";
  return code === 4403 ? "forbidden" : "refused";
}

interface PresenceChange {
  readonly added: number[];
  readonly updated: number[];
}

/** Edits are sent at once when it was quiet, and merged for this long when not. */
const EDIT_TICK_MS = 20;
const AWARENESS_TICK_MS = 40;
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 60_000;

/** A document of the room that lives through disconnections. */
export class RoomDocument implements SharedDoc {
  readonly name: string;
  readonly #host: DocumentHost;
  readonly #unsaved = new UnsavedQueue();
  readonly #shelf: EditShelf;
  readonly #edits = new Tick(EDIT_TICK_MS, () => this.#flush());
  readonly #presence = new Tick(AWARENESS_TICK_MS, () => this.#sendPresence());
  #doc!: Y.Doc;
  #awareness!: Awareness;
  #epoch: string | null = null;
  #channel: number | null = null;
  #synced = false;
  #write = false;
  #problem: SaveProblem | null = null;
  /** Something was refused, and nobody knows what: count nothing as saved. */
  #uncertain = false;
  #lastError: number | null = null;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #generation = 0;
  /** Set while a large document comes; called when it came on the channel. */
  #loading: (() => void) | null = null;

  constructor(name: string, host: DocumentHost, keeper: EditKeeper) {
    this.name = name;
    this.#host = host;
    this.#shelf = new EditShelf(name, keeper);
    this.#begin();
  }

  /** The Yjs document; another one after a fork (see `generation`). */
  get doc(): Y.Doc {
    return this.#doc;
  }

  /** Presence in this document. */
  get awareness(): Awareness {
    return this.#awareness;
  }

  /** True while the state is the server's, on an open channel. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Whether the server takes our edits. */
  get writable(): boolean {
    return this.#write;
  }

  /** Counts the Y.Docs so far: the server's history was replaced, bind anew. */
  get generation(): number {
    return this.#generation;
  }

  /** Edits that are not committed. */
  get unsaved(): number {
    return this.#unsaved.size;
  }

  /** Why edits are not saved; null while all goes well. */
  get problem(): SaveProblem | null {
    return this.#problem;
  }

  /** The channel of this document; null while it is not open. */
  get channel(): number | null {
    return this.#channel;
  }

  /** The connection is live and documents may be opened. */
  connect(): void {
    this.#stopRetrying();
    this.#channel = this.#host.nextChannel();
    this.#synced = false;
    this.#loading = null;
    this.#uncertain = false;
    const stateVector = Y.encodeStateVector(this.#doc);
    // A document that many people wrote outgrows what the server reads: then
    // it is loaded whole.
    const known = stateVector.length <= this.#host.maxStateVectorBytes();
    this.#sendOn({
      type: "open",
      name: this.name,
      stateVector: known ? stateVector : new Uint8Array(),
    });
  }

  /** The connection is gone. */
  disconnect(): void {
    this.#stopRetrying();
    this.#channel = null;
    this.#synced = false;
    this.#edits.cancel();
    this.#presence.cancel();
    this.#forgetOthers();
    this.#keep(true);
    this.#host.changed();
  }

  /** The meeting is over. */
  destroy(): void {
    this.disconnect();
    this.#awareness.destroy();
  }

  /** Send and put away what is not saved: the page may not live on. */
  keepNow(): void {
    this.#flush();
    this.#keep(true);
  }

  /** The role changed. */
  permit(write: boolean): void {
    const gained = write && !this.#write;
    this.#write = write;
    if (write && this.#problem === "forbidden") this.#problem = null;
    if (gained && this.#channel !== null) this.#reopen();
    this.#host.changed();
  }

  /** A message on this document's channel. */
  receive(message: Message): void {
    switch (message.type) {
      case "opened":
        void this.#opened(message);
        return;
      case "sync":
      case "syncReply":
        this.#sync(message.step, message.data);
        return;
      case "awareness":
        applyAwarenessUpdate(this.#awareness, message.update, this);
        return;
      case "queryAwareness":
        this.#sendPresence();
        return;
      case "syncStatus":
        this.#settled(message.saved);
        return;
      case "perm":
        this.permit(message.json.write);
        return;
      case "error":
        this.#error(message.json.code, message.json.retry_after_s);
        return;
      case "close":
        this.#channel = null;
        this.#synced = false;
        this.#host.changed();
    }
  }

  #begin(): void {
    this.#doc = new Y.Doc();
    this.#awareness = new Awareness(this.#doc);
    this.#doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.#edited(update);
    });
    const mine = this.#awareness.clientID;
    this.#awareness.on("update", (change: PresenceChange, origin: unknown) => {
      // A newer clock of ours that came from the server means that our end
      // was announced (an older connection's): say that we are here.
      const ours = change.added.includes(mine) || change.updated.includes(mine);
      if (origin !== this || ours) this.#presence.request();
    });
  }

  #edited(update: Uint8Array): void {
    this.#unsaved.push(update);
    this.#edits.request();
    this.#keep(false);
    this.#host.changed();
  }

  #flush(): void {
    if (!this.#synced || !this.#write) return;
    const update = this.#unsaved.take();
    if (update !== null) this.#sendUpdate(SyncStep.update, update);
  }

  #sendUpdate(step: number, data: Uint8Array): void {
    this.#sendOn({ type: "sync", step, data });
  }

  #sendOn(body: MessageBody): boolean {
    if (this.#channel === null) return false;
    return this.#host.send({ channel: this.#channel, ...body });
  }

  async #opened(
    message: Extract<Message, { type: "opened" }>,
  ): Promise<void> {
    this.#write = message.write;
    if (this.#epoch !== null && this.#epoch !== message.epoch) {
      this.#fork(message.epoch);
      return;
    }
    this.#epoch = message.epoch;
    const lacking = missingUpdate(this.#doc, message.stateVector, message.update);
    if (message.reference !== undefined) {
      await this.#load(message.reference);
      if (this.#channel !== message.channel) return;
    }
    if (message.update.length > 0) {
      Y.applyUpdate(this.#doc, message.update, this);
    }
    const owner = this.#host.owner();
    if (owner !== null && !this.#shelf.loaded) {
      const found = await this.#shelf.load(owner, message.epoch, message.write);
      for (const kept of found) {
        Y.applyUpdate(this.#doc, kept.update, this);
        this.#unsaved.push(kept.update, kept.edits);
      }
      if (this.#channel !== message.channel) return;
    }
    this.#synced = true;
    if (this.#unsaved.size === 0) this.#allWell();
    if (this.#write) {
      const update = this.#unsaved.takeAll(lacking);
      if (update !== null) this.#sendUpdate(SyncStep.reply, update);
    }
    this.#enter(owner);
    this.#host.changed();
  }

  /**
   * Take a large document from HTTP. If that fails it comes on the channel,
   * like every answer to a state vector.
   */
  async #load(reference: SnapshotRef): Promise<void> {
    const channel = this.#channel;
    this.#loading = () => undefined;
    try {
      const state = await this.#host.fetchState(reference);
      if (this.#channel === channel) Y.applyUpdate(this.#doc, state, this);
    } catch {
      if (this.#channel !== channel) return;
      const answered = new Promise<void>((resolve) => {
        this.#loading = resolve;
      });
      this.#askForAll();
      await answered;
    } finally {
      if (this.#channel === channel) this.#loading = null;
    }
  }

  #askForAll(): void {
    const data = Y.encodeStateVector(this.#doc);
    this.#sendOn({ type: "sync", step: SyncStep.stateVector, data });
  }

  #enter(owner: { id: string; name: string } | null): void {
    this.#sendOn({ type: "queryAwareness" });
    const local = this.#awareness.getLocalState();
    if (local === null) return;
    const user = owner === null ? {} : { id: owner.id, name: owner.name };
    // Twice: the server announced the end of our last connection with the
    // next clock, and a state must be newer than that to be heard.
    this.#awareness.setLocalState(local);
    this.#awareness.setLocalState({
      ...local,
      user: { ...(local["user"] as object | undefined), ...user },
    });
  }

  #sync(step: number, data: Uint8Array): void {
    if (step === SyncStep.stateVector) {
      if (!this.#write) return;
      const diff = Y.encodeStateAsUpdate(this.#doc, data);
      this.#unsaved.push(diff, 0);
      const update = this.#unsaved.take();
      if (update !== null) this.#sendUpdate(SyncStep.reply, update);
      return;
    }
    Y.applyUpdate(this.#doc, data, this);
    if (this.#loading !== null) {
      // What it builds on is on its way.
      if (step === SyncStep.reply) this.#loading();
    } else if (this.#doc.store.pendingStructs !== null) {
      // Something before it was lost on the way: ask for it.
      this.#askForAll();
    }
  }

  #settled(saved: boolean): void {
    // After a refusal nobody knows which update an answer belongs to.
    if (this.#uncertain) return;
    if (saved) {
      this.#unsaved.settle(true);
      if (!this.#unsaved.hasRefused) this.#allWell();
      if (this.#unsaved.isCareful) this.#flush();
    } else this.#refused();
    this.#keep(false);
    this.#host.changed();
  }

  #allWell(): void {
    this.#problem = null;
    this.#retryMs = FIRST_RETRY_MS;
  }

  /** An update was not kept, for the reason of the last error. */
  #refused(): void {
    const code = this.#lastError;
    this.#problem = problemOf(code);
    if (code === 4400 || code === 4413) {
      if (this.#unsaved.isCareful) {
        // It was the only one on its way: the others need not suffer.
        this.#unsaved.settle(false);
        this.#flush();
        return;
      }
      this.#unsaved.beCareful();
      this.#reopen();
      return;
    }
    this.#uncertain = true;
    if (code === 4403) this.#write = false;
    else this.#retryLater();
  }

  /** The reason of the refusal that follows; or the channel does not open. */
  #error(code: number, retryAfterS: number | undefined): void {
    this.#lastError = code;
    if (this.#synced) return;
    this.#problem = problemOf(code);
    this.#retryLater((retryAfterS ?? 0) * 1000);
    this.#host.changed();
  }

  /** Offer everything again on a new channel, where the count begins anew. */
  #retryLater(leastMs = 0): void {
    // An error and a status may tell of the same refusal: wait once.
    if (this.#retryTimer !== undefined) return;
    const delay = Math.max(leastMs, this.#retryMs);
    this.#retryTimer = setTimeout(() => this.#reopen(), delay);
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 2);
  }

  #stopRetrying(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
  }

  #reopen(): void {
    if (this.#channel !== null) this.#sendOn({ type: "close" });
    this.connect();
    this.#host.changed();
  }

  /** Another epoch: never merge. Put ours aside and begin from nothing. */
  #fork(epoch: string): void {
    const owner = this.#host.owner();
    if (owner !== null && this.#epoch !== null) {
      this.#shelf.putAside(owner, this.#epoch, this.#doc, this.unsaved);
    }
    this.#unsaved.clear();
    this.#problem = null;
    this.#epoch = epoch;
    this.#generation += 1;
    const state = this.#awareness.getLocalState();
    this.#awareness.destroy();
    this.#begin();
    this.#awareness.setLocalState(state);
    this.#reopen();
  }

  #sendPresence(): void {
    if (!this.#synced) return;
    const update = encodeAwarenessUpdate(this.#awareness, [
      this.#awareness.clientID,
    ]);
    this.#sendOn({ type: "awareness", update });
  }

  #forgetOthers(): void {
    const others = [...this.#awareness.getStates().keys()].filter(
      (id) => id !== this.#awareness.clientID,
    );
    removeAwarenessStates(this.#awareness, others, this);
    // With their clocks remembered, the same states would not be heard again.
    for (const id of others) this.#awareness.meta.delete(id);
  }

  #keep(soon: boolean): void {
    const owner = this.#host.owner();
    if (owner === null || this.#epoch === null) return;
    this.#shelf.keep(owner, this.#epoch, this.#unsaved, soon);
  }
}
