// Two stock y-websocket clients and two stock Hocuspocus providers (versions 3
// and 4, the latter with a session in its address) on one document, with a native client driven by the test. Prints one JSON object.
//
// argv: port, hub id, token of each of the four clients.
import * as three from "@hocuspocus/provider";
import * as four from "hocuspocus-provider-4";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const [port, hub, firstToken, secondToken, thirdToken, fourthToken] = process.argv.slice(2);
const limit = setTimeout(() => finish(1, { error: "too late" }), 20_000);

function until(condition, what) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 8_000;
    const look = () => {
      if (condition()) resolve();
      else if (Date.now() > deadline) reject(new Error(`no ${what}`));
      else setTimeout(look, 20);
    };
    look();
  });
}

function finish(code, report) {
  clearTimeout(limit);
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(code);
}

function yWebsocket(token) {
  const doc = new Y.Doc();
  const provider = new WebsocketProvider(
    `ws://127.0.0.1:${port}/y/${hub}`,
    "notes/minutes",
    doc,
    { WebSocketPolyfill: WebSocket, disableBc: true, params: { token } },
  );
  return { doc, text: doc.getText("t"), provider };
}

function hocuspocus(make, token, options) {
  const doc = new Y.Doc();
  const socket = new make.HocuspocusProviderWebsocket({
    url: `ws://127.0.0.1:${port}/hocuspocus`,
    WebSocketPolyfill: WebSocket,
  });
  const seen = { scope: null };
  const provider = new make.HocuspocusProvider({
    websocketProvider: socket,
    name: `${hub}/notes/minutes`,
    document: doc,
    token,
    ...options,
    onAuthenticated: ({ scope }) => (seen.scope = scope),
  });
  provider.attach();
  return { doc, text: doc.getText("t"), provider, socket, seen };
}

try {
  const first = yWebsocket(firstToken);
  const second = yWebsocket(secondToken);
  const third = hocuspocus(three, thirdToken, {});
  const fourth = hocuspocus(four, fourthToken, { sessionAwareness: true });
  const all = [first, second, third, fourth];
  await until(() => first.provider.synced && second.provider.synced, "y sync");
  for (const peer of [third, fourth]) {
    await until(() => peer.provider.synced && peer.seen.scope, "hocuspocus sync");
  }
  first.provider.awareness.setLocalStateField("user", { name: "Mallory" });
  await until(() => all.every((c) => c.text.toString().includes("native")), "native text");

  first.text.insert(0, "[first]");
  third.text.insert(0, "[third]");
  fourth.text.insert(0, "[fourth]");
  for (const peer of [third, fourth]) {
    await until(() => peer.provider.unsyncedChanges === 0, "acknowledgement");
  }

  // Edits made offline reach everybody after the reconnect.
  second.provider.disconnect();
  second.text.insert(0, "[offline]");
  first.text.insert(0, "[meanwhile]");
  second.provider.connect();
  const marks = ["[first]", "[third]", "[fourth]", "[offline]", "[meanwhile]", "native"];
  await until(
    () => all.every((c) => marks.every((m) => c.text.toString().includes(m))),
    "convergence",
  );
  await until(
    () => new Set(all.map((c) => c.text.toString())).size === 1,
    "the same text everywhere",
  );
  const states = [...third.provider.awareness.getStates().values()];
  const names = states.map((s) => s.user?.name).filter(Boolean);
  finish(0, { text: first.text.toString(), scope: third.seen.scope, names });
} catch (error) {
  finish(1, { error: String(error) });
}
