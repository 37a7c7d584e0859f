/** What a fault acts on, and whom it may hit. */
import type { SimCluster } from '../cluster.ts';
import type { SimNode } from '../node.ts';

export type Fault = (cluster: SimCluster) => void;
export type Menu = Readonly<Record<string, Fault>>;

export const present = (cluster: SimCluster): SimNode[] => cluster.nodes.filter(({ left }) => !left);
