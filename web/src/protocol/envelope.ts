/** Frames of DRCP/1: `frame = 1*(channel:varUint type:varUint payload)`. */
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import {
  MessageType,
  type Message,
  type MessageBody,
  type SnapshotRef,
} from "./messages";

/** Bytes that are no DRCP/1 frame; `offset` is where reading stopped. */
export class MalformedFrame extends Error {
  override readonly name = "MalformedFrame";
  readonly offset: number;

  constructor(detail: string, offset: number) {
    super(`${detail} at byte ${offset}`);
    this.offset = offset;
  }
}

/** Encode messages, in order, as one frame. */
export function encodeFrame(...messages: Message[]): Uint8Array {
  const encoder = encoding.createEncoder();
  for (const message of messages) {
    encoding.writeVarUint(encoder, message.channel);
    encoding.writeVarUint(encoder, MessageType[message.type]);
    writePayload(encoder, message);
  }
  return encoding.toUint8Array(encoder);
}

/**
 * Decode a frame. Types from 64 that are unknown are skipped, as the document
 * asks; byte arrays in the result are views into `frame`.
 *
 * Throws MalformedFrame for an unknown type below 64 and for torn bytes.
 */
export function decodeFrame(frame: Uint8Array): Message[] {
  const decoder = decoding.createDecoder(frame);
  const messages: Message[] = [];
  while (decoding.hasContent(decoder)) {
    const start = decoder.pos;
    try {
      const channel = decoding.readVarUint(decoder);
      const body = readBody(decoder, decoding.readVarUint(decoder));
      // lib0 does not mind a length that reaches past a view's own end.
      if (decoder.pos > frame.length) throw new Error("torn message");
      if (body !== null) messages.push({ channel, ...body });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      throw new MalformedFrame(detail, start);
    }
  }
  return messages;
}

function writePayload(encoder: encoding.Encoder, body: MessageBody): void {
  switch (body.type) {
    case "sync":
    case "syncReply":
      encoding.writeVarUint(encoder, body.step);
      encoding.writeVarUint8Array(encoder, body.data);
      return;
    case "awareness":
      encoding.writeVarUint8Array(encoder, body.update);
      return;
    case "queryAwareness":
    case "ping":
    case "pong":
      return;
    case "stateless":
    case "broadcastStateless":
    case "hocuspocusClose":
      encoding.writeVarString(encoder, body.text);
      return;
    case "syncStatus":
      encoding.writeVarUint(encoder, body.saved ? 1 : 0);
      return;
    default:
      encoding.writeVarUint8Array(encoder, encodeInner(body));
  }
}

type DrcpBody = Extract<
  MessageBody,
  { json: unknown } | { type: "open" | "opened" | "close" }
>;

function encodeInner(body: DrcpBody): Uint8Array {
  const inner = encoding.createEncoder();
  switch (body.type) {
    case "close":
      break;
    case "open":
      encoding.writeVarString(inner, body.name);
      encoding.writeVarUint8Array(inner, body.stateVector);
      break;
    case "opened":
      encoding.writeVarString(inner, body.epoch);
      encoding.writeVarUint(inner, body.write ? 1 : 0);
      encoding.writeVarUint8Array(inner, body.update);
      encoding.writeVarUint8Array(inner, body.stateVector);
      if (body.reference !== undefined) {
        encoding.writeVarString(inner, JSON.stringify(body.reference));
      }
      break;
    default:
      encoding.writeVarString(inner, JSON.stringify(body.json));
  }
  return encoding.toUint8Array(inner);
}

function readBody(
  decoder: decoding.Decoder,
  type: number,
): MessageBody | null {
  switch (type) {
    case MessageType.sync:
    case MessageType.syncReply:
      return {
        type: type === MessageType.sync ? "sync" : "syncReply",
        step: decoding.readVarUint(decoder),
        data: decoding.readVarUint8Array(decoder),
      };
    case MessageType.awareness:
      return {
        type: "awareness",
        update: decoding.readVarUint8Array(decoder),
      };
    case MessageType.queryAwareness:
      return { type: "queryAwareness" };
    case MessageType.stateless:
      return { type: "stateless", text: decoding.readVarString(decoder) };
    case MessageType.broadcastStateless:
      return {
        type: "broadcastStateless",
        text: decoding.readVarString(decoder),
      };
    case MessageType.hocuspocusClose:
      return { type: "hocuspocusClose", text: decoding.readVarString(decoder) };
    case MessageType.syncStatus:
      return { type: "syncStatus", saved: decoding.readVarUint(decoder) === 1 };
    case MessageType.ping:
      return { type: "ping" };
    case MessageType.pong:
      return { type: "pong" };
  }
  // Type 2 (auth) is Hocuspocus's alone: natively it is as unknown as 11-63.
  if (type < 64) throw new Error(`unknown message type ${type}`);
  return decodeInner(type, decoding.readVarUint8Array(decoder));
}

const JSON_TYPES = [
  "hello",
  "welcome",
  "error",
  "perm",
  "event",
  "rpc",
  "rpcResult",
  "signal",
  "refresh",
  "resync",
] as const;
const JSON_TYPE_BY_NUMBER = new Map<number, (typeof JSON_TYPES)[number]>(
  JSON_TYPES.map((name) => [MessageType[name], name]),
);

function decodeInner(type: number, bytes: Uint8Array): MessageBody | null {
  const inner = decoding.createDecoder(bytes);
  switch (type) {
    case MessageType.close:
      return { type: "close" };
    case MessageType.open:
      return {
        type: "open",
        name: decoding.readVarString(inner),
        stateVector: decoding.readVarUint8Array(inner),
      };
    case MessageType.opened:
      return {
        type: "opened",
        epoch: decoding.readVarString(inner),
        write: decoding.readVarUint(inner) === 1,
        update: decoding.readVarUint8Array(inner),
        stateVector: decoding.readVarUint8Array(inner),
        ...readReference(inner),
      };
  }
  const name = JSON_TYPE_BY_NUMBER.get(type);
  if (name === undefined) return null;
  const json = readObject(decoding.readVarString(inner), name);
  // The shape is the server's promise; a wrong member shows where it is used.
  return { type: name, json } as MessageBody;
}

/** What may follow the state vector; empty, or absent, if there is none. */
function readReference(inner: decoding.Decoder): { reference?: SnapshotRef } {
  if (!decoding.hasContent(inner)) return {};
  const text = decoding.readVarString(inner);
  if (text === "") return {};
  return { reference: readObject(text, "snapshotRef") as SnapshotRef };
}

function readObject(text: string, name: string): object {
  const json: unknown = JSON.parse(text);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new Error(`${name} holds no JSON object`);
  }
  return json;
}
