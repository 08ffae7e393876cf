/** DRCP/1 and REST for the browser; knows no DOM and no meeting. */
export * from "./closing";
export * from "./connection";
export * from "./envelope";
export * from "./messages";
export * from "./problem";
export * from "./rest";
export * from "./rest-types";
export { RpcError } from "./rpc";
