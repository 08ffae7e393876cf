// Two stock y-websocket clients and one stock Hocuspocus provider on one
// document, with a native client driven by the test. Prints one JSON object.
//
// argv: port, hub id, token of each of the three clients.
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const [port, hub, firstToken, secondToken, thirdToken] = process.argv.slice(2);
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

function hocuspocus(token) {
  const doc = new Y.Doc();
  const socket = new HocuspocusProviderWebsocket({
    url: `ws://127.0.0.1:${port}/hocuspocus`,
    WebSocketPolyfill: WebSocket,
  });
  const seen = { scope: null };
  const provider = new HocuspocusProvider({
    websocketProvider: socket,
    name: `${hub}/notes/minutes`,
    document: doc,
    token,
    onAuthenticated: ({ scope }) => (seen.scope = scope),
  });
  provider.attach();
  return { doc, text: doc.getText("t"), provider, socket, seen };
}

try {
  const first = yWebsocket(firstToken);
  const second = yWebsocket(secondToken);
  const third = hocuspocus(thirdToken);
  const all = [first, second, third];
  await until(() => first.provider.synced && second.provider.synced, "y sync");
  await until(() => third.provider.synced && third.seen.scope, "hocuspocus sync");
  first.provider.awareness.setLocalStateField("user", { name: "Mallory" });
  await until(() => all.every((c) => c.text.toString().includes("native")), "native text");

  first.text.insert(0, "[first]");
  third.text.insert(0, "[third]");
  await until(() => third.provider.unsyncedChanges === 0, "acknowledgement");

  // Edits made offline reach everybody after the reconnect.
  second.provider.disconnect();
  second.text.insert(0, "[offline]");
  first.text.insert(0, "[meanwhile]");
  second.provider.connect();
  const marks = ["[first]", "[third]", "[offline]", "[meanwhile]", "native"];
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
