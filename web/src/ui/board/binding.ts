/**
 * The whiteboard's elements in a shared document.
 *
 * The document "board" has one map, `elements`, from an element's id to the
 * element. Only elements whose `version:versionNonce` differs from what the map
 * holds are written, in one transaction whose origin is the binding; what others
 * write is reconciled into the scene and stays out of this page's undo history.
 */
import type * as Y from "yjs";

/** The part of a whiteboard element that the binding reads. */
export interface BoardElement {
  readonly id: string;
  readonly version: number;
  readonly versionNonce: number;
  readonly isDeleted: boolean;
  readonly updated: number;
}

/** The drawing surface, as far as the binding needs it. */
export interface BoardSurface<E extends BoardElement> {
  /** Merge elements of others into the scene, without touching the undo history. */
  merge(remote: readonly E[]): void;
  /** Take elements out of the scene altogether. */
  forget(ids: ReadonlySet<string>): void;
}

const TOMBSTONE_S = 24 * 3600;

function stampOf(element: BoardElement): string {
  return `${element.version}:${element.versionNonce}`;
}

/** Does a value of the map look like an element of that id? Others may write anything. */
export function isBoardElement(id: string, value: unknown): value is BoardElement {
  if (typeof value !== "object" || value === null) return false;
  const element = value as Record<string, unknown>;
  const numbers = ["version", "versionNonce", "x", "y", "width", "height"] as const;
  return (
    element.id === id &&
    typeof element.type === "string" &&
    numbers.every((key) => Number.isFinite(element[key]))
  );
}

export class BoardBinding<E extends BoardElement> {
  readonly #doc: Y.Doc;
  readonly #map: Y.Map<E>;
  readonly #surface: BoardSurface<E>;
  /** What the map holds, by stamp. */
  readonly #held = new Map<string, string>();

  constructor(doc: Y.Doc, surface: BoardSurface<E>) {
    this.#doc = doc;
    this.#map = doc.getMap<E>("elements");
    this.#surface = surface;
  }

  /** Show what the document holds and follow it; returns the way to stop. */
  start(): () => void {
    const all = this.#read(this.#map.keys());
    if (all.length > 0) this.#surface.merge(all);
    const observer = (event: Y.YMapEvent<E>) => {
      if (event.transaction.origin !== this) this.#follow(event);
    };
    this.#map.observe(observer);
    return () => this.#map.unobserve(observer);
  }

  /** Write what changed on this page; returns how many elements were written. */
  push(scene: readonly E[]): number {
    const changed = scene.filter((element) => {
      const held = this.#held.get(element.id);
      // Drawn and taken back before anyone saw it: nobody needs its tombstone.
      if (held === undefined && element.isDeleted) return false;
      return held !== stampOf(element);
    });
    if (changed.length === 0) return 0;
    this.#doc.transact(() => {
      for (const element of changed) {
        // The scene goes on changing its objects in place: the map gets its own.
        this.#map.set(element.id, { ...element });
        this.#held.set(element.id, stampOf(element));
      }
    }, this);
    return changed.length;
  }

  /** Drop tombstones older than a day: whoever was away that long gets the deletion as such. */
  prune(nowMs: number): number {
    const old = this.#read(this.#map.keys()).filter(
      (element) => element.isDeleted && nowMs - element.updated > TOMBSTONE_S * 1000,
    );
    if (old.length === 0) return 0;
    this.#doc.transact(() => {
      for (const { id } of old) {
        this.#map.delete(id);
        this.#held.delete(id);
      }
    }, this);
    this.#surface.forget(new Set(old.map(({ id }) => id)));
    return old.length;
  }

  #read(ids: Iterable<string>): E[] {
    const elements: E[] = [];
    for (const id of ids) {
      const value: unknown = this.#map.get(id);
      if (!isBoardElement(id, value)) continue;
      this.#held.set(id, stampOf(value));
      elements.push({ ...value } as E);
    }
    return elements;
  }

  #follow(event: Y.YMapEvent<E>): void {
    const gone = new Set<string>();
    const changed: string[] = [];
    for (const [id, change] of event.changes.keys) {
      if (change.action === "delete") {
        gone.add(id);
        this.#held.delete(id);
      } else {
        changed.push(id);
      }
    }
    if (gone.size > 0) this.#surface.forget(gone);
    const remote = this.#read(changed);
    if (remote.length > 0) this.#surface.merge(remote);
  }
}
