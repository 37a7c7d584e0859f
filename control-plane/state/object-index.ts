/** Sets of objects by some property, each with an array that is built once between two changes. */

class Group<T> {
  readonly members = new Map<string, T>();
  #array: readonly T[] | undefined;

  set(key: string, value: T): void {
    this.members.set(key, value);
    this.#array = undefined;
  }

  delete(key: string): void {
    this.members.delete(key);
    this.#array = undefined;
  }

  array(): readonly T[] {
    this.#array ??= [...this.members.values()];
    return this.#array;
  }
}

const nothing: readonly never[] = [];

export class ObjectIndex<T> {
  readonly #groups = new Map<string, Group<T>>();

  /** The members of a group in order of arrival. */
  of(group: string): readonly T[] {
    return this.#groups.get(group)?.array() ?? nothing;
  }

  /** Moves `key` from the groups it was in to those it is in now. */
  move(key: string, before: readonly string[], after: readonly string[], value: T | undefined): void {
    for (const name of before) if (!after.includes(name)) this.#remove(name, key);
    if (value === undefined) return;
    for (const name of after) {
      let group = this.#groups.get(name);
      if (!group) {
        group = new Group();
        this.#groups.set(name, group);
      }
      group.set(key, value);
    }
  }

  #remove(name: string, key: string): void {
    const group = this.#groups.get(name);
    group?.delete(key);
    if (group?.members.size === 0) this.#groups.delete(name);
  }
}
