/** `?relay=udp|tcp|tls|any` in the address forces sound and picture through the relay. */
import type { SessionOptions } from "../../session/api";

const WAYS = ["any", "udp", "tcp", "tls"] as const;

export function relayWish(search = location.search): SessionOptions {
  const wish = new URLSearchParams(search).get("relay");
  return { relay: WAYS.find((way) => way === wish) ?? null };
}
