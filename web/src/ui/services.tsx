/** What the screens need from below, given from outside so that tests can give something else. */
import { createContext, useContext } from "react";
import type { JoinRoom, RoomSession, SessionOptions } from "../session/api";

export interface Services {
  join: JoinRoom;
  /**
   * Enter with an invitation's token, or with the one that this tab kept of this
   * room; null if there is neither.
   */
  enter(
    token: string | null,
    hubId: string,
    options: SessionOptions,
  ): Promise<RoomSession | null>;
}

const ServicesContext = createContext<Services | null>(null);
export const ServicesProvider = ServicesContext.Provider;

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error("ServicesProvider is missing");
  return services;
}
