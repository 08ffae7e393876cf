/**
 * Pictures on the whiteboard. The document carries only their SHA-256; the bytes
 * are files of the room, uploaded once and fetched when an element shows them.
 */
import type {
  BinaryFileData,
  BinaryFiles,
  DataURL,
} from "@excalidraw/excalidraw/types";
import type { RoomSession } from "../../session/api";

const SHA256 = /^[0-9a-f]{64}$/;
const RETRY_MS = 15_000;

function dataUrlOf(blob: Blob): Promise<DataURL> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as DataURL);
    reader.onerror = () => reject(reader.error ?? new Error("the picture could not be read"));
    reader.readAsDataURL(blob);
  });
}

export class Pictures {
  readonly #session: RoomSession;
  /** When each missing picture may be asked for again. */
  readonly #asked = new Map<string, number>();

  constructor(session: RoomSession) {
    this.#session = session;
  }

  /** A new picture becomes a file of the room; its name is its hash. */
  upload(file: File): Promise<string> {
    return this.#session.uploadBlob(file);
  }

  /** Fetch the pictures that these elements show and the surface lacks. */
  async missing(
    elements: readonly { type: string; isDeleted: boolean; fileId?: string | null }[],
    held: BinaryFiles,
  ): Promise<BinaryFileData[]> {
    const now = Date.now();
    const wanted = elements
      .filter((element) => element.type === "image" && !element.isDeleted)
      .map((element) => element.fileId ?? "")
      .filter((id) => SHA256.test(id) && !(id in held) && (this.#asked.get(id) ?? 0) <= now);
    const fetched = await Promise.all([...new Set(wanted)].map((id) => this.#fetch(id, now)));
    return fetched.filter((file): file is BinaryFileData => file !== null);
  }

  async #fetch(id: string, now: number): Promise<BinaryFileData | null> {
    this.#asked.set(id, now + RETRY_MS);
    try {
      const blob = await this.#session.fetchBlob(id);
      return {
        id: id as BinaryFileData["id"],
        mimeType: (blob.type || "image/png") as BinaryFileData["mimeType"],
        dataURL: await dataUrlOf(blob),
        created: now,
      };
    } catch {
      return null; // the frame of the picture stays; asked again later
    }
  }
}
