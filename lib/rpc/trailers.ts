/** What an answer says beside its error, in HTTP/2 trailers. */

/**
 * Of the leader, about the node whose agent has called: its Node object was deleted, which is certain. The value is a
 * revision of the store at which it was gone. Nobody says so who only does not know of the node.
 */
export const nodeDeletedTrailer = 'gantry-node-deleted';
