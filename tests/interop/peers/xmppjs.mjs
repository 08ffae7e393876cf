// The stock @xmpp/client: logs in, asks, chats, loses its socket, resumes, chats on.
// Prints one JSON object.
//
// argv: service (wss://… or xmpps://…), domain, account, password, whom to write to.
import { client, xml } from "@xmpp/client";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket; // Node before 22
// What the client still writes to the socket that it has lost.
process.on("unhandledRejection", () => {});

const [service, domain, username, password, other] = process.argv.slice(2);
const report = { resumed: false, pong: false, heard: [], logins: 0 };
const xmpp = client({ service, domain, username, password, resource: "js" });
const limit = setTimeout(() => finish(1, "too late"), 20_000);
xmpp.reconnect.delay = 100;

function finish(code, error) {
  clearTimeout(limit);
  process.stdout.write(`${JSON.stringify({ ...report, error })}\n`, () => process.exit(code));
}

function say(body) {
  xmpp.send(xml("message", { type: "chat", to: other, id: body }, xml("body", {}, body)));
}

function hear(body) {
  return new Promise((resolve) => {
    const look = (stanza) => {
      if (stanza.is("message") && stanza.getChildText("body") === body) {
        report.heard.push(body);
        xmpp.removeListener("stanza", look);
        resolve();
      }
    };
    xmpp.on("stanza", look);
  });
}

function lose() {
  const socket = xmpp.socket.socket ?? xmpp.socket;
  if (socket.terminate) socket.terminate();
  else socket.destroy();
}

async function talk() {
  await xmpp.send(xml("presence"));
  const answer = await xmpp.iqCaller.get(xml("ping", "urn:xmpp:ping"), domain);
  report.pong = answer !== null;
  let heard = hear("re: one");
  say("one");
  await heard;
  const resumed = new Promise((resolve) => xmpp.streamManagement.once("resumed", resolve));
  heard = hear("re: two");
  say("two"); // on its way when the network fails
  lose();
  await resumed;
  report.resumed = true;
  await heard;
  heard = hear("re: three");
  say("three");
  await heard;
  await xmpp.stop();
  finish(0);
}

xmpp.on("error", (error) => {
  report.last = String(error);
  if (error.name === "SASLError") finish(1, String(error));
});
xmpp.on("online", () => {
  report.logins += 1;
  if (report.logins === 1) talk().catch((error) => finish(1, String(error)));
});
xmpp.start().catch((error) => finish(1, String(error)));
