/**
 * That a Node was deleted, said for certain: the store itself has none of that name, or the very object that the agent's
 * session was admitted for was seen to go. The agent then stops what it runs; so nobody may guess.
 */
import { GantryError } from '../../lib/errors.ts';

export class NodeDeletedError extends GantryError {
  /** At which the Node was gone. */
  readonly revision: bigint;

  constructor(nodeName: string, revision: bigint) {
    super('permissionDenied', deletedSentence(nodeName));
    this.name = 'NodeDeletedError';
    this.revision = revision;
  }
}

/** For who does not have to be certain: a node whose object was deleted is out until it joins again. */
export function nodeIsGone(nodeName: string): GantryError {
  return new GantryError('permissionDenied', deletedSentence(nodeName));
}

function deletedSentence(nodeName: string): string {
  const cure =
    'to join it again, remove pki from the --data-dir of its agent and start that with --token (ctl token create --role node ' +
    'prints one); for a lab: ctl lab up';
  return `node ${nodeName} is not part of the cluster (its Node object was deleted); ${cure}`;
}
