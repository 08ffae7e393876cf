import { describe, expect, it } from "vitest";
import type { CallState, SaveState } from "../../src/session/api";
import { callWords, saveTone, saveWords, worstCall } from "../../src/ui/workspace/stateWords";
import { de } from "../../src/ui/text/de";
import { en } from "../../src/ui/text/en";

const connected = (more: Partial<CallState>): CallState => ({
  kind: "connected",
  path: "direct",
  protocol: null,
  port: null,
  rttMs: 24,
  ...more,
});

describe("the words of the state line", () => {
  const cases: [SaveState, string, string][] = [
    [{ kind: "connecting" }, "Connecting…", "busy"],
    [{ kind: "waiting" }, "Waiting to be let in", "busy"],
    [{ kind: "live", unsaved: 0 }, "Live · saved", "calm"],
    [{ kind: "saving", unsaved: 3 }, "Saving…", "busy"],
    [
      { kind: "offline", unsaved: 12, retryAt: null },
      "Offline · 12 changes kept on this device",
      "signal",
    ],
    [
      { kind: "offline", unsaved: 1, retryAt: null },
      "Offline · 1 change kept on this device",
      "signal",
    ],
    [{ kind: "offline", unsaved: 0, retryAt: null }, "Offline", "signal"],
    [{ kind: "read-only" }, "Read only", "calm"],
    [
      { kind: "cannot-save", reason: "disk-full", unsaved: 2 },
      "Cannot save: the server's disk is full",
      "danger",
    ],
    [{ kind: "ended", reason: "left" }, "Ended", "danger"],
  ];
  it.each(cases)("says %o as %s", (save, words, tone) => {
    expect(saveWords(en, save)).toBe(words);
    expect(saveTone(save)).toBe(tone);
  });

  it("counts one and many in German too", () => {
    const offline = (unsaved: number): SaveState => ({ kind: "offline", unsaved, retryAt: null });
    expect(saveWords(de, offline(1))).toContain("1 Änderung ");
    expect(saveWords(de, offline(2))).toContain("2 Änderungen ");
  });
});

describe("the words of the call", () => {
  it("names the direct way with its time", () => {
    expect(callWords(en, connected({})).text).toBe("Direct · 24 ms");
  });
  it("names a relay over TLS by its port", () => {
    const call = connected({ path: "relay", protocol: "tls", port: 443, rttMs: 60.7 });
    expect(callWords(en, call).text).toBe("Relay 443 · 61 ms");
    expect(callWords(en, { ...call, port: null }).text).toBe("Relay TLS · 61 ms");
  });
  it("names a relay over UDP or TCP", () => {
    expect(callWords(en, connected({ path: "relay", protocol: "udp" })).text).toMatch(/^Relay UDP/);
    expect(callWords(en, connected({ path: "relay", protocol: "tcp" })).text).toMatch(/^Relay TCP/);
  });
  it("says no time that it does not know", () => {
    expect(callWords(en, connected({ rttMs: null })).text).toBe("Direct");
  });
  it("shows the call that fares worst", () => {
    const media = (call: CallState) => ({ personId: "x", camera: null, screen: null, call });
    const failed = connected({ kind: "failed", path: null });
    expect(worstCall([media(connected({})), media(failed)])).toBe(failed);
    const relay = connected({ path: "relay" });
    expect(worstCall([media(connected({ rttMs: 900 })), media(relay)])).toBe(relay);
    expect(worstCall([media(connected({ kind: "idle" }))])).toBeNull();
  });
});
