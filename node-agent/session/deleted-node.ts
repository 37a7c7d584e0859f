/**
 * The node's end as its agent sees it: the leader has said for certain that the Node object was deleted (not: nobody answers,
 * not: somebody does not know of us).
 *
 * Nothing is wanted of this node any more, so its slice loses all pods at the revision at which the Node was gone: they are
 * stopped with their grace, and none starts again, not even by the next agent on this machine. What runs elsewhere of the
 * same names was made since. What all nodes see alike stays. The session goes on asking; when the node has joined again,
 * the next complete slice says what is wanted.
 */
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { SliceStore } from './slice-store.ts';

export interface DeletedNodeOptions {
  readonly nodeName: string;
  readonly slice: SliceStore;
  readonly log: Log;
  /** For those who look at the machine. Undefined: it is a node. */
  readonly mark: (as: 'deleted' | undefined) => Promise<void>;
}

export class DeletedNode {
  readonly #options: DeletedNodeOptions;
  #told: boolean | undefined;
  #marked: Promise<void> = Promise.resolve();

  constructor(options: DeletedNodeOptions) {
    this.#options = options;
  }

  /** `revision`: of the store, when the Node was gone. It is said at each attempt at a session; once is enough. */
  deleted(revision: string): void {
    if (this.#told === true) return;
    this.#told = true;
    const { nodeName, slice, log } = this.#options;
    const pods = slice.list('Pod').length;
    slice.apply({ complete: true, keepsShared: true, revision });
    log.error(
      { node: nodeName, pods },
      'this node was deleted from the cluster: its pods are stopped until it joins again',
    );
    this.#mark('deleted');
  }

  welcomed(): void {
    if (this.#told === false) return;
    this.#told = false;
    this.#mark(undefined);
  }

  #mark(as: 'deleted' | undefined): void {
    const { mark, log } = this.#options;
    this.#marked = this.#marked
      .then(() => mark(as))
      .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'whether the node was deleted is not on disk'));
  }
}
