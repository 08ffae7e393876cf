import { describe, expect, it } from "vitest";
import {
  decodeFrame,
  encodeFrame,
  MalformedFrame,
  type Message,
} from "../../src/protocol";

const hex = (bytes: Uint8Array) =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytes = (text: string) =>
  Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const bin = (...values: number[]) => Uint8Array.from(values);

/** Frames written out by hand from docs/protocols/drcp.md. */
const VECTORS: [string, string, Message[]][] = [
  [
    "sync step 1",
    "01" + "00" + "00" + "0100",
    [{ channel: 1, type: "sync", step: 0, data: bin(0) }],
  ],
  [
    "sync update",
    "02" + "00" + "02" + "020000",
    [{ channel: 2, type: "sync", step: 2, data: bin(0, 0) }],
  ],
  [
    "syncReply",
    "01" + "04" + "01" + "0100",
    [{ channel: 1, type: "syncReply", step: 1, data: bin(0) }],
  ],
  [
    "awareness on a two-byte channel",
    "ff01" + "01" + "03" + "010203",
    [{ channel: 255, type: "awareness", update: bin(1, 2, 3) }],
  ],
  ["queryAwareness", "0103", [{ channel: 1, type: "queryAwareness" }]],
  [
    "stateless",
    "01" + "05" + "02" + "6869",
    [{ channel: 1, type: "stateless", text: "hi" }],
  ],
  ["saved", "010801", [{ channel: 1, type: "syncStatus", saved: true }]],
  ["refused", "010800", [{ channel: 1, type: "syncStatus", saved: false }]],
  [
    "two messages in one frame",
    "0009" + "000a",
    [
      { channel: 0, type: "ping" },
      { channel: 0, type: "pong" },
    ],
  ],
  [
    "open",
    "01" + "42" + "08" + "05" + "626f617264" + "0100",
    [{ channel: 1, type: "open", name: "board", stateVector: bin(0) }],
  ],
  [
    "opened",
    "01" + "43" + "09" + "0165" + "01" + "020000" + "020000",
    [
      {
        channel: 1,
        type: "opened",
        epoch: "e",
        write: true,
        update: bin(0, 0),
        stateVector: bin(0, 0),
      },
    ],
  ],
  ["close", "03" + "44" + "00", [{ channel: 3, type: "close" }]],
  [
    "refresh",
    "00" + "4b" + "0e" + "0d" + "7b22746f6b656e223a2278227d",
    [{ channel: 0, type: "refresh", json: { token: "x" } }],
  ],
];

describe("the envelope", () => {
  it.each(VECTORS)("writes and reads %s", (_name, wire, messages) => {
    expect(hex(encodeFrame(...messages))).toBe(wire);
    expect(decodeFrame(bytes(wire))).toEqual(messages);
  });

  it("keeps UTF-8 in JSON", () => {
    const message: Message = {
      channel: 0,
      type: "event",
      json: { type: "chat", data: { text: "žluťoučký 🐴", message_id: "1" } },
    };
    expect(decodeFrame(encodeFrame(message))).toEqual([message]);
  });

  it("skips unknown types from 64, and reads what follows", () => {
    expect(decodeFrame(bytes("00" + "e807" + "03ffffff" + "0009"))).toEqual([
      { channel: 0, type: "ping" },
    ]);
  });

  it.each([
    ["an unknown type below 64", "000b"],
    ["auth, which is spoken by hocuspocus alone", "000200"],
    ["a length past the end", "0101ff01"],
    ["half a varint", "0180"],
    ["JSON that is no object", "0045" + "03" + "02" + "5b5d"],
    ["no JSON", "0045" + "02" + "01" + "7b"],
  ])("refuses %s", (_name, wire) => {
    expect(() => decodeFrame(bytes(wire))).toThrow(MalformedFrame);
  });

  it("does not read past a view into a larger buffer", () => {
    const whole = bytes("0101" + "03" + "010203");
    expect(() => decodeFrame(whole.subarray(0, 5))).toThrow(MalformedFrame);
  });

  it("throws nothing but MalformedFrame, whatever the bytes", () => {
    let seed = 1;
    const next = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31);
    for (let round = 0; round < 3000; round += 1) {
      const frame = Uint8Array.from({ length: next() % 24 }, () => {
        const value = next() >> 8;
        return value % 3 === 0 ? value % 256 : value % 80;
      });
      try {
        decodeFrame(frame);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedFrame);
      }
    }
  });
});
