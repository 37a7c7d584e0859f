/** A complete slice that comes in parts is applied as one: half of it would look like the end of the other half. */
import type { ObjectEnvelope, Slice } from '../../proto/gen/types.ts';

export class SliceParts {
  #objects: ObjectEnvelope[] = [];

  /** What can be applied now; undefined while more is to come. */
  take(message: Slice): Slice | undefined {
    if (message.complete && message.more) {
      for (const object of message.objects ?? []) this.#objects.push(object);
      return undefined;
    }
    const before = this.#objects;
    this.#objects = [];
    if (!message.complete || before.length === 0) return message;
    return { ...message, objects: [...before, ...(message.objects ?? [])] };
  }
}
