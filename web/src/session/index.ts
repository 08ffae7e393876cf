/** The meeting: what the user interface imports. */
export type * from "./api";
export type { SaveProblem } from "./document";
export { browserEnvironment, type Environment } from "./environment";
export { openHubScreen } from "./hub/browser";
export type { HubScreen, ScreenLink, ScreenRoom, ScreenSnapshot } from "./hub/screen";
export { enterRoom, JoinError, joinProblem, joinRoom, recentToken } from "./join";
export { MeetingSession } from "./meeting";
