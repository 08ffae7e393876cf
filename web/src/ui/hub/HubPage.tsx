import { useState } from "react";
import { recallScreen } from "../../session/hub/screen-memory";
import type { ScreenAddress } from "../../session/hub/address";
import { ChooseRoom, RoomPoster } from "./RoomPoster";
import { Wall } from "./Wall";

interface HubPageProps {
  hubId: string;
  pin: string;
  /** What the agent wrote into the fragment; null when a person opens this page. */
  screen: ScreenAddress | null;
}

/** A screen on the wall: a hub's own, or any browser that shows how to join a room. */
export function HubPage({ hubId, pin, screen }: HubPageProps) {
  // The fragment is emptied once it is read, and a reload comes without one.
  const [address, setAddress] = useState(screen);
  const [remembered] = useState(() => hubId === "" && recallScreen(tabStorage()) !== null);
  if (screen !== null && screen.ticket !== address?.ticket) setAddress(screen);
  if (address !== null || remembered) {
    return <Wall key={address?.ticket ?? ""} address={address} />;
  }
  if (hubId.length !== 9) return <ChooseRoom />;
  return <RoomPoster hubId={hubId} pin={pin} />;
}

function tabStorage(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}
