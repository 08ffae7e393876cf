/** Calls to the server over channel 0 that wait for their results. */
import type { RpcResult } from "./messages";

/** A call that failed: with the server's code, or 0 if no answer will come. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const DEADLINE_MS = 15_000;

interface Waiting {
  resolve(result: unknown): void;
  reject(error: RpcError): void;
  timer: ReturnType<typeof setTimeout>;
}

/** The calls of one connection that are under way. */
export class PendingCalls {
  readonly #send: (id: number, method: string, params: unknown) => boolean;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** send: false if there is no connection. */
  constructor(send: (id: number, method: string, params: unknown) => boolean) {
    this.#send = send;
  }

  /** Send a call; rejects with RpcError when refused, late or disconnected. */
  call(method: string, params: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (!this.#send(id, method, params)) {
        reject(new RpcError(0, "not connected"));
        return;
      }
      const timer = setTimeout(
        () => this.settle({ id, error: { code: 0, message: "no answer" } }),
        DEADLINE_MS,
      );
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  /** An answer arrived; unknown ids are late ones and are dropped. */
  settle(answer: RpcResult): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    clearTimeout(waiting.timer);
    if (answer.error === undefined) waiting.resolve(answer.result);
    else waiting.reject(new RpcError(answer.error.code, answer.error.message));
  }

  /** The connection is gone, and the answers with it. */
  failAll(): void {
    for (const id of [...this.#waiting.keys()]) {
      this.settle({ id, error: { code: 0, message: "connection lost" } });
    }
  }
}
