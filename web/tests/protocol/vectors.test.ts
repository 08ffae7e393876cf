/** The vectors that the server's tests read too (tests/vectors/drcp.json). */
import { readFileSync } from "node:fs";
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import { describe, expect, it } from "vitest";
import { decodeFrame, encodeFrame, type Message } from "../../src/protocol";

interface Entry {
  client: number;
  clock: number;
  state: string;
}

type Described = { channel: number; type: string } & Record<string, unknown>;

interface Vectors {
  frames: { name: string; hex: string; messages: Described[] }[];
  skipped: { name: string; hex: string }[];
}

const file = new URL("../../../tests/vectors/drcp.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vectors;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytes = (text: unknown) => Uint8Array.from(Buffer.from(String(text), "hex"));

/** y-protocols' awareness update, which the session decodes elsewhere. */
function awarenessUpdate(entries: Entry[]): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, entries.length);
  for (const { client, clock, state } of entries) {
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, clock);
    encoding.writeVarString(encoder, state);
  }
  return encoding.toUint8Array(encoder);
}

function awarenessEntries(update: Uint8Array): Entry[] {
  const decoder = decoding.createDecoder(update);
  return Array.from({ length: decoding.readVarUint(decoder) }, () => ({
    client: decoding.readVarUint(decoder),
    clock: decoding.readVarUint(decoder),
    state: decoding.readVarString(decoder),
  }));
}

/** From the file's words to ours: bytes for hex, camel case. */
function toMessage(described: Described): Message {
  const { state_vector, update, data, entries, ...rest } = described;
  return {
    ...rest,
    ...(state_vector === undefined ? {} : { stateVector: bytes(state_vector) }),
    ...(update === undefined ? {} : { update: bytes(update) }),
    ...(data === undefined ? {} : { data: bytes(data) }),
    ...(entries === undefined
      ? {}
      : { update: awarenessUpdate(entries as Entry[]) }),
  } as unknown as Message;
}

function toDescribed(message: Message): Described {
  const { stateVector, update, data, ...rest } = message as Message & {
    stateVector?: Uint8Array;
    update?: Uint8Array;
    data?: Uint8Array;
  };
  const isAwareness = message.type === "awareness";
  return {
    ...rest,
    ...(stateVector === undefined ? {} : { state_vector: hex(stateVector) }),
    ...(update === undefined || isAwareness ? {} : { update: hex(update) }),
    ...(update !== undefined && isAwareness
      ? { entries: awarenessEntries(update) }
      : {}),
    ...(data === undefined ? {} : { data: hex(data) }),
  };
}

describe("the shared vectors", () => {
  it.each(vectors.frames.map((vector) => [vector.name, vector] as const))(
    "write and read: %s",
    (_name, vector) => {
      expect(hex(encodeFrame(...vector.messages.map(toMessage)))).toBe(vector.hex);
      const read = decodeFrame(bytes(vector.hex)).map(toDescribed);
      expect(read).toEqual(vector.messages);
    },
  );

  it.each(vectors.skipped.map((vector) => [vector.name, vector] as const))(
    "skip: %s",
    (_name, vector) => {
      expect(decodeFrame(bytes(vector.hex))).toEqual([]);
    },
  );
});
