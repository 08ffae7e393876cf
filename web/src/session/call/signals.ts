/** What two browsers tell each other to make a call, inside DRCP `signal`. */

/** Which of a person's two streams a media stream is. */
export type StreamKind = "camera" | "screen";

/**
 * One signal. `instance` names the sender's page (a reload makes another),
 * `to` the receiver's, if it is known; `generation` counts the connections
 * of this pair, and the higher number wins.
 */
export interface CallSignal {
  readonly v: 1;
  readonly instance: string;
  readonly to: string | null;
  readonly generation: number;
  /** This generation goes through a relay on both sides. */
  readonly relay: boolean;
  readonly body: CallSignalBody;
}

/** What a signal says. */
export type CallSignalBody =
  /** I am here (again). */
  | { readonly kind: "hello" }
  /** My connection is new: make yours anew. */
  | { readonly kind: "renew" }
  | {
      readonly kind: "description";
      readonly description: RTCSessionDescriptionInit;
      /** The sender's stream ids and what they are. */
      readonly streams: Readonly<Record<string, StreamKind>>;
    }
  | {
      readonly kind: "candidate";
      readonly candidate: RTCIceCandidateInit | null;
    };

/** Read a signal; null for anything else (another client's, a later version's). */
export function readCallSignal(data: unknown): CallSignal | null {
  if (!isRecord(data) || data["v"] !== 1) return null;
  const { instance, to, generation, relay, body } = data;
  if (typeof instance !== "string" || instance === "") return null;
  if (to !== null && typeof to !== "string") return null;
  if (!Number.isSafeInteger(generation) || !isRecord(body)) return null;
  const checked = readBody(body);
  if (checked === null) return null;
  return {
    v: 1,
    instance,
    to,
    generation: generation as number,
    relay: relay === true,
    body: checked,
  };
}

function readBody(body: Record<string, unknown>): CallSignalBody | null {
  switch (body["kind"]) {
    case "hello":
    case "renew":
      return { kind: body["kind"] };
    case "candidate": {
      const candidate = body["candidate"];
      if (candidate !== null && !isRecord(candidate)) return null;
      return { kind: "candidate", candidate };
    }
    case "description": {
      const { description, streams } = body;
      if (!isRecord(description) || !isRecord(streams)) return null;
      const { type, sdp } = description;
      if (type !== "offer" && type !== "answer") return null;
      if (typeof sdp !== "string") return null;
      const kinds: Record<string, StreamKind> = {};
      for (const [id, kind] of Object.entries(streams)) {
        if (kind === "camera" || kind === "screen") kinds[id] = kind;
      }
      return { kind: "description", description: { type, sdp }, streams: kinds };
    }
  }
  return null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
