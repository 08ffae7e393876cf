/** A written document as plain blocks of text, for looking at. */
import * as Y from "yjs";

export interface Block {
  readonly kind: "text" | "heading" | "item" | "quote" | "code";
  /** How deep in lists, from 0. */
  readonly depth: number;
  readonly text: string;
}

const LEAVES: Record<string, Block["kind"]> = {
  paragraph: "text",
  heading: "heading",
  codeBlock: "code",
};
const INSIDE: Record<string, Block["kind"]> = { listItem: "item", blockquote: "quote" };
const DEEPEST = 64;

function textOf(element: Y.XmlElement | Y.XmlFragment): string {
  return element
    .toArray()
    .map((child) => {
      if (child instanceof Y.XmlText) {
        const runs = child.toDelta() as { insert?: unknown }[];
        return runs.map(({ insert }) => (typeof insert === "string" ? insert : "")).join("");
      }
      return child instanceof Y.XmlElement && child.nodeName === "hardBreak" ? "\n" : "";
    })
    .join("");
}

function walk(
  node: Y.XmlElement | Y.XmlFragment,
  kind: Block["kind"],
  depth: number,
  into: Block[],
): void {
  if (depth > DEEPEST) return;
  for (const child of node.toArray()) {
    if (!(child instanceof Y.XmlElement)) continue;
    const leaf = LEAVES[child.nodeName];
    if (leaf) {
      into.push({ kind: leaf === "text" ? kind : leaf, depth, text: textOf(child) });
      continue;
    }
    const inside = INSIDE[child.nodeName];
    const deeper = child.nodeName === "listItem" && kind === "item" ? depth + 1 : depth;
    walk(child, inside ?? kind, deeper, into);
  }
}

/** The blocks from top to bottom; empty ones at the end are left out. */
export function blocksOf(fragment: Y.XmlFragment): Block[] {
  const blocks: Block[] = [];
  walk(fragment, "text", 0, blocks);
  while (blocks.length > 0 && blocks[blocks.length - 1]?.text === "") blocks.pop();
  return blocks;
}
