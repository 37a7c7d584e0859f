/**
 * Names that certificates carry as DNS SANs, and that clients expect, whatever address they dial: a peer is known by
 * its role and name, not by where it is. (An IP cannot be a TLS server name.)
 */

/** In every control plane replica's certificate. */
export const controlPlaneServerName = 'control-plane.gantry.internal';

/** In the node's certificate. */
export function nodeServerName(nodeName: string): string {
  return `${nodeName}.node.gantry.internal`;
}
