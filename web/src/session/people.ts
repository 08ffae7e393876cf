/** Who is in the room. */
import type { WirePerson, WireState } from "../protocol";
import type { Person, Role } from "./api";

/** The people of a room in the order of joining, me among them. */
export class People {
  #people = new Map<string, Person>();
  #me: Person | null = null;
  #list: readonly Person[] | null = null;

  /** Me; null before the first welcome. */
  get me(): Person | null {
    return this.#me;
  }

  /** Me first, then by time of joining. */
  get list(): readonly Person[] {
    this.#list ??= [
      ...(this.#me === null ? [] : [this.#me]),
      ...[...this.#people.values()].filter(({ id }) => id !== this.#me?.id),
    ];
    return this.#list;
  }

  /** Everybody but me. */
  get others(): readonly Person[] {
    return this.list.filter(({ id }) => id !== this.#me?.id);
  }

  /** Those with whom a call is possible. */
  get callable(): readonly Person[] {
    return this.others.filter(({ via }) => via === undefined);
  }

  /** Who I am, as a welcome says it; `people` of the welcome may say more. */
  setMe(me: { id: string; name: string; role: Role }): void {
    const account = this.#me?.id === me.id ? this.#me.account : null;
    this.#me = {
      account,
      hand: false,
      mic: false,
      cam: false,
      screen: false,
      ...me,
    };
    this.#list = null;
  }

  /** The whole list, as the server has it. */
  replace(people: readonly WirePerson[]): void {
    this.#people = new Map();
    for (const person of people) this.put(person);
    this.#list = null;
  }

  /** Someone joined or changed. */
  put(person: WirePerson): void {
    const { id, name, role, account, hand, mic, cam, screen } = person;
    const copy: Person = {
      id,
      name,
      role,
      account,
      hand,
      mic,
      cam,
      screen,
      ...(person.via === "xmpp" ? { via: "xmpp" } : {}),
      ...(typeof person.hub === "string" ? { hub: person.hub } : {}),
    };
    if (id === this.#me?.id) this.#me = copy;
    this.#people.set(id, copy);
    this.#list = null;
  }

  /** Someone told something about themselves. */
  merge(id: string, state: Partial<WireState>): void {
    const person = id === this.#me?.id ? this.#me : this.#people.get(id);
    if (person === undefined) return;
    const known: Partial<Record<keyof WireState, boolean>> = {};
    for (const key of ["hand", "mic", "cam", "screen"] as const) {
      if (typeof state[key] === "boolean") known[key] = state[key];
    }
    this.put({ ...person, ...known });
  }

  /** Someone left. */
  remove(id: string): void {
    this.#people.delete(id);
    this.#list = null;
  }
}
