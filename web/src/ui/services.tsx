/** What the screens need from below, given from outside so that tests can give something else. */
import { createContext, useContext } from "react";
import type { EnterRoom, JoinRoom } from "../session/api";

export interface Services {
  join: JoinRoom;
  enter: EnterRoom;
  /** The token of the room that this tab was in, if it can be entered again. */
  tokenOf(hubId: string): string | null;
}

const ServicesContext = createContext<Services | null>(null);
export const ServicesProvider = ServicesContext.Provider;

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error("ServicesProvider is missing");
  return services;
}
