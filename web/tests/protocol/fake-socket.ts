/** A WebSocket of which the test is the other end. */
import {
  decodeFrame,
  encodeFrame,
  type Hello,
  type Message,
  type Socket,
  type Welcome,
} from "../../src/protocol";

export class FakeSocket implements Socket {
  binaryType = "blob";
  readonly bufferedAmount = 0;
  onopen: ((event: never) => unknown) | null = null;
  onmessage: ((event: never) => unknown) | null = null;
  onclose: ((event: never) => unknown) | null = null;
  readonly url: string;
  readonly sent: Message[] = [];
  closedWith: number | null = null;

  constructor(url: string) {
    this.url = url;
  }

  send(frame: Uint8Array): void {
    this.sent.push(...decodeFrame(frame));
  }

  close(code = 1000): void {
    this.closedWith ??= code;
  }

  /** The server accepts. */
  open(): void {
    this.onopen?.({} as never);
  }

  /** The server sends one frame. */
  deliver(...messages: Message[]): void {
    this.deliverBytes(encodeFrame(...messages));
  }

  deliverBytes(frame: Uint8Array): void {
    const data = frame.slice().buffer;
    this.onmessage?.({ data } as never);
  }

  /** The server, or the network, closes. */
  end(code: number, reason = ""): void {
    this.onclose?.({ code, reason } as never);
  }

  get hello(): Hello | undefined {
    const [first] = this.sent;
    return first?.type === "hello" ? first.json : undefined;
  }

  /** Open, and answer hello. */
  welcome(change: Partial<Welcome> = {}): void {
    this.open();
    this.deliver({ channel: 0, type: "welcome", json: welcome(change) });
  }
}

export function welcome(change: Partial<Welcome> = {}): Welcome {
  return {
    v: 1,
    sid: "s1",
    participant_id: "p1",
    name: "Ada",
    role: "editor",
    waiting: false,
    room: { hub_id: "412907338", name: "Room", locked: false, lobby: false },
    seq: 10,
    limits: {},
    server_time: 0,
    people: [],
    chat: [],
    resumed: false,
    ...change,
  };
}
