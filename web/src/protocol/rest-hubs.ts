/** The hub calls of the REST API (docs/protocols/hub.md). */
import type {
  Hub,
  HubChange,
  HubCode,
  HubCommand,
  HubCommandName,
  HubFeedAnswer,
  HubNetworkDetails,
  RoomTokenAnswer,
  ScreenAnswer,
} from "./hub-types";
import { RestCaller, part } from "./rest-call";

/** A poll that is answered late is a broken connection after this much more. */
const POLL_GRACE_MS = 10_000;

/** Each call rejects with ProblemError (the server refused) or NetworkError. */
export class HubCalls extends RestCaller {
  /** The same calls with another token. */
  withToken(token: string | null): HubCalls {
    return new HubCalls({ ...this.options, token });
  }

  // What a screen may do.

  /** Trade a ticket, good once, for a screen's token. */
  openScreen(ticket: string): Promise<ScreenAnswer> {
    return this.json("POST", "/hub-screens", { ticket });
  }

  /** The screen's token again, for longer. */
  renewScreen(): Promise<ScreenAnswer> {
    return this.json("POST", "/hub-screens/renew", {});
  }

  /** Wait up to waitS seconds for another seq than `after`; null: answer at once. */
  feed(
    hubId: string,
    after: number | null,
    waitS: number,
    signal?: AbortSignal,
  ): Promise<HubFeedAnswer> {
    const query = new URLSearchParams({ wait: String(waitS) });
    if (after !== null) query.set("after", String(after));
    return this.json("GET", `/hubs/${part(hubId)}/feed?${query}`, undefined, {
      deadlineMs: waitS * 1000 + POLL_GRACE_MS,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Go into a room by touch; null: leave. */
  setRoom(hubId: string, room: string | null, pin?: string): Promise<void> {
    const body = pin === undefined ? { room } : { room, pin };
    return this.none("PUT", `/hubs/${part(hubId)}/room`, body);
  }

  /** A token for the room that the hub shall be in. */
  roomToken(hubId: string): Promise<RoomTokenAnswer> {
    return this.json("POST", `/hubs/${part(hubId)}/room-token`, {});
  }

  /** By touch: install the update that the box has found. */
  async installUpdate(hubId: string): Promise<void> {
    await this.none("POST", `/hubs/${part(hubId)}/update`);
  }

  // What an administrator, or a host of the room, may do.

  /** The hubs that this token sees. */
  async list(): Promise<Hub[]> {
    return (await this.json<{ hubs: Hub[] }>("GET", "/hubs")).hubs;
  }

  /** One hub. */
  show(hubId: string): Promise<Hub> {
    return this.json("GET", `/hubs/${part(hubId)}`);
  }

  /** What a hub found when it last checked its network; 404 before the first time. */
  network(hubId: string): Promise<HubNetworkDetails> {
    return this.json("GET", `/hubs/${part(hubId)}/network-check`);
  }

  /** Change what a hub is or shall do. */
  change(hubId: string, change: HubChange): Promise<Hub> {
    return this.json("PATCH", `/hubs/${part(hubId)}`, change);
  }

  /** Forget a hub: its tokens and streams end at once, its room stays. */
  remove(hubId: string): Promise<void> {
    return this.none("DELETE", `/hubs/${part(hubId)}`);
  }

  /** Tell the box to do something; its answer comes later. */
  command(
    hubId: string,
    command: HubCommandName,
    args: Record<string, unknown> = {},
  ): Promise<{ id: string }> {
    const body = { command, arguments: args };
    return this.json("POST", `/hubs/${part(hubId)}/commands`, body);
  }

  /** How far a command is. */
  showCommand(hubId: string, id: string): Promise<HubCommand> {
    return this.json("GET", `/hubs/${part(hubId)}/commands/${part(id)}`);
  }

  /** The file that a command brought: a PNG or a text. */
  async commandFile(hubId: string, id: string): Promise<Blob> {
    const path = `/hubs/${part(hubId)}/commands/${part(id)}/file`;
    return (await this.call("GET", path)).blob();
  }

  /** Activation codes that still work. */
  async codes(): Promise<HubCode[]> {
    return (await this.json<{ codes: HubCode[] }>("GET", "/hub-codes")).codes;
  }

  /** Make an activation code; the answer alone holds it in words. */
  addCode(code: { name?: string; uses: number; expires_in_s: number }): Promise<HubCode> {
    return this.json("POST", "/hub-codes", code);
  }

  /** Make an activation code useless. */
  removeCode(id: string): Promise<void> {
    return this.none("DELETE", `/hub-codes/${part(id)}`);
  }
}
