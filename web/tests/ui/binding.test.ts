import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { BoardBinding, isBoardElement } from "../../src/ui/board/binding";
import type { BoardElement } from "../../src/ui/board/binding";

interface Shape extends BoardElement {
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

function shape(id: string, version = 1, more: Partial<Shape> = {}): Shape {
  return {
    id,
    type: "rectangle",
    version,
    versionNonce: version * 7,
    isDeleted: false,
    updated: 0,
    x: 0,
    y: 0,
    width: 10,
    height: 10,
    ...more,
  };
}

/** A page: its scene takes the newer version, as the real surface does. */
class Page {
  readonly doc = new Y.Doc();
  scene: Shape[] = [];
  merges = 0;
  readonly binding = new BoardBinding<Shape>(this.doc, {
    merge: (remote) => {
      this.merges++;
      for (const element of remote) {
        const at = this.scene.findIndex((local) => local.id === element.id);
        if (at < 0) this.scene.push(element);
        else if ((this.scene[at]?.version ?? 0) < element.version) this.scene[at] = element;
      }
    },
    forget: (ids) => {
      this.scene = this.scene.filter((element) => !ids.has(element.id));
    },
  });
  get map(): Y.Map<Shape> {
    return this.doc.getMap<Shape>("elements");
  }
}

function connect(a: Page, b: Page): void {
  const forward = (from: Page, to: Page) =>
    from.doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== "wire") Y.applyUpdate(to.doc, update, "wire");
    });
  forward(a, b);
  forward(b, a);
}

describe("the whiteboard's binding", () => {
  it("shows one page's drawing on the other", () => {
    const [a, b] = [new Page(), new Page()];
    connect(a, b);
    a.binding.start();
    b.binding.start();
    a.scene = [shape("r1")];
    a.binding.push(a.scene);
    expect(b.scene).toEqual([shape("r1")]);
  });

  it("writes only what changed, in one transaction", () => {
    const page = new Page();
    page.binding.start();
    page.scene = [shape("a"), shape("b"), shape("c")];
    expect(page.binding.push(page.scene)).toBe(3);
    let transactions = 0;
    page.doc.on("afterTransaction", () => transactions++);
    page.scene = [shape("a"), shape("b", 2), shape("c", 2)];
    expect(page.binding.push(page.scene)).toBe(2);
    expect(transactions).toBe(1);
    expect(page.binding.push(page.scene)).toBe(0);
    expect(transactions).toBe(1);
  });

  it("does not send back what came from others", () => {
    const [a, b] = [new Page(), new Page()];
    connect(a, b);
    a.binding.start();
    b.binding.start();
    a.binding.push([shape("r1")]);
    expect(b.binding.push(b.scene)).toBe(0);
    expect(a.merges).toBe(0);
  });

  it("keeps a newer local version and writes it again", () => {
    const [a, b] = [new Page(), new Page()];
    a.binding.start();
    b.binding.start();
    a.scene = [shape("r1", 5)];
    a.binding.push(a.scene);
    b.scene = [shape("r1", 3)];
    b.binding.push(b.scene);
    Y.applyUpdate(a.doc, Y.encodeStateAsUpdate(b.doc), "wire");
    Y.applyUpdate(b.doc, Y.encodeStateAsUpdate(a.doc), "wire");
    connect(a, b);
    a.binding.push(a.scene);
    b.binding.push(b.scene);
    expect(a.scene[0]?.version).toBe(5);
    expect(b.scene[0]?.version).toBe(5);
    expect(b.map.get("r1")?.version).toBe(5);
  });

  it("merges what both drew while apart", () => {
    const [a, b] = [new Page(), new Page()];
    a.binding.start();
    b.binding.start();
    a.scene = [shape("from-a")];
    b.scene = [shape("from-b")];
    a.binding.push(a.scene);
    b.binding.push(b.scene);
    Y.applyUpdate(a.doc, Y.encodeStateAsUpdate(b.doc), "wire");
    Y.applyUpdate(b.doc, Y.encodeStateAsUpdate(a.doc), "wire");
    const ids = (page: Page) => page.scene.map(({ id }) => id).sort();
    expect(ids(a)).toEqual(["from-a", "from-b"]);
    expect(ids(b)).toEqual(["from-a", "from-b"]);
  });

  it("shows what the document held before", () => {
    const page = new Page();
    page.map.set("old", shape("old"));
    page.binding.start();
    expect(page.scene).toEqual([shape("old")]);
    expect(page.binding.push(page.scene)).toBe(0);
  });

  it("follows no more once stopped", () => {
    const page = new Page();
    page.binding.start()();
    page.map.set("late", shape("late"));
    expect(page.scene).toEqual([]);
  });

  it("leaves out what was drawn and taken back before anyone saw it", () => {
    const page = new Page();
    page.binding.start();
    expect(page.binding.push([shape("x", 2, { isDeleted: true })])).toBe(0);
    page.binding.push([shape("y")]);
    expect(page.binding.push([shape("y", 2, { isDeleted: true })])).toBe(1);
  });

  it("keeps the map apart from objects that the scene changes in place", () => {
    const page = new Page();
    page.binding.start();
    const element = { ...shape("r1") };
    page.binding.push([element]);
    element.x = 99;
    expect(page.map.get("r1")?.x).toBe(0);
  });

  it("drops tombstones after a day, on every page", () => {
    const [a, b] = [new Page(), new Page()];
    connect(a, b);
    a.binding.start();
    b.binding.start();
    a.scene = [shape("gone"), shape("here")];
    a.binding.push(a.scene);
    a.scene = [shape("gone", 2, { isDeleted: true, updated: 1000 }), shape("here")];
    a.binding.push(a.scene);
    const day = 24 * 3600 * 1000;
    expect(a.binding.prune(1000 + day)).toBe(0);
    expect(a.binding.prune(1001 + day)).toBe(1);
    expect([...a.map.keys()]).toEqual(["here"]);
    expect(b.scene.map(({ id }) => id)).toEqual(["here"]);
    expect(b.binding.push(b.scene)).toBe(0);
  });

  it.each([
    [null],
    ["text"],
    [{ ...shape("other") }],
    [{ ...shape("r1"), x: Number.NaN }],
    [{ ...shape("r1"), version: "1" }],
    [{ id: "r1" }],
  ])("ignores a value of the map that is no element: %o", (value) => {
    expect(isBoardElement("r1", value)).toBe(false);
    const page = new Page();
    page.binding.start();
    (page.map as Y.Map<unknown>).set("r1", value);
    expect(page.merges).toBe(0);
  });
});
