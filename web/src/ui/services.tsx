/** What the screens need from below, given from outside so that tests can give something else. */
import { createContext, useContext } from "react";
import type { ScreenAddress } from "../session/hub/address";
import type { HubScreen } from "../session/hub/screen";
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
  /** Be a screen of a hub; address null: go on after a reload. */
  openScreen(address: ScreenAddress | null, options: SessionOptions): Promise<Screen>;
}

/** A hub's screen as the page uses it. */
export type Screen = Pick<
  HubScreen,
  "snapshot" | "subscribe" | "join" | "leaveRoom" | "installUpdate" | "draws" | "close"
>;

const ServicesContext = createContext<Services | null>(null);
export const ServicesProvider = ServicesContext.Provider;

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error("ServicesProvider is missing");
  return services;
}
