/** What a node's refusal for volumes is about: which claim, which volume, and where that is. Pure. */
import type { Node, NodeSelector, PersistentVolume, PersistentVolumeClaim, Pod } from '../../proto/gen/types.ts';
import { isVolumeOn } from '../storage/volume-nodes.ts';
import { type OpenClaim, volumeNeedsOf } from './volumes.ts';

/** Undefined of a node that no volume keeps the pod from. Nodes are looked through once for each volume. */
export function volumeDetail(pod: Pod, nodes: readonly Node[]): (node: Node) => string | undefined {
  const { volumes = [], bound = [], open = [] } = volumeNeedsOf(pod) ?? {};
  const places = volumes.map((volume, index) => {
    const on = nodes.filter((node) => isVolumeOn(volume, node));
    return { on: new Set(on), sentence: placeOf(bound[index], volume, on) };
  });
  const wanted = open.flatMap(wantedBy).join('; ');
  return (node) => {
    const away = places.filter(({ on }) => !on.has(node)).map(({ sentence }) => sentence);
    return (away.length > 0 ? away.join('; ') : wanted) || undefined;
  };
}

function placeOf(claim: PersistentVolumeClaim | undefined, { metadata, spec }: PersistentVolume, on: readonly Node[]) {
  const where =
    on.length > 0
      ? `is on ${namesOf(on)}`
      : `is on no node of the cluster, only where ${selectorText(spec.nodeAffinity?.required)}`;
  return `claim ${claim?.metadata.name} has volume ${metadata.name}, which ${where}`;
}

const mostNames = 5;

function namesOf(nodes: readonly Node[]): string {
  const names = nodes.slice(0, mostNames).map(({ metadata }) => metadata.name);
  const more = nodes.length - names.length;
  return `node${nodes.length > 1 ? 's' : ''} ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function selectorText(required: NodeSelector | undefined): string {
  const terms = (required?.nodeSelectorTerms ?? []).map(({ matchExpressions = [], matchFields = [] }) =>
    [...matchExpressions, ...matchFields]
      .map(({ key, operator, values = [] }) => `${key} ${operator}${values.length > 0 ? ` ${values.join(', ')}` : ''}`)
      .join(' and '),
  );
  return terms.join(' or ');
}

/** Of one that gets a new volume no node is short. */
function wantedBy({ claim: { metadata, spec }, storageClass, candidates }: OpenClaim): string[] {
  if (!candidates) return [];
  const size = spec.resources.requests?.storage;
  return [
    `claim ${metadata.name} wants ${size === undefined ? 'a volume' : `a volume of ${size}`} of class ${storageClass.metadata.name}`,
  ];
}
