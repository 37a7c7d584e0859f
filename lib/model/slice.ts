/** What of the cluster an agent is told: its own pods with what they name, and these kinds, which every node sees whole. */
import type { Kind } from './schema.ts';

export const sharedKinds = ['Node', 'Service', 'EndpointSlice'] as const satisfies readonly Kind[];

export const isSharedKind = (kind: string): boolean => (sharedKinds as readonly string[]).includes(kind);
