/** DRCP/1 and REST for the browser; knows no DOM and no meeting. */
export { Backoff } from "./backoff";
export * from "./closing";
export * from "./connection";
export * from "./envelope";
export * from "./hub-types";
export * from "./messages";
export * from "./problem";
export * from "./rest";
export type { RestOptions } from "./rest-call";
export * from "./rest-hubs";
export * from "./rest-types";
export { RpcError } from "./rpc";
