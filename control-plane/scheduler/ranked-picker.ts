/**
 * An ordered index of nodes: the lowest rank first, compared from left to right, ties by name. A placement moves one
 * entry; ranks of others that a placement changed (they share a place) are corrected when they come to the top, which
 * is right because a placement only ever makes a rank worse. (Preferred affinity to pods of the same class makes
 * others' ranks better: those other nodes are seen a little late, the node itself at once.)
 *
 * Nodes are grouped by the leading spread constraint's places, so that a placement does not make the ranks of a whole
 * zone stale: the count of a place is compared once for all of its nodes.
 */
import { Heap } from './heap.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picker, PodClass } from './strategies.ts';

type Rank = (info: NodeInfo) => readonly number[];

interface Entry {
  readonly info: NodeInfo;
  readonly rank: readonly number[];
}

interface Group {
  readonly place: string;
  readonly heap: Heap<Entry>;
}

export function rankedPicker(podClass: PodClass, candidates: readonly NodeInfo[], rank: Rank): Picker {
  const groups = groupsOf(podClass, candidates, rank);
  const countOf = ({ place }: Group): number => podClass.neighbours.leading?.count(place) ?? 0;
  let chosen: Group | undefined;
  return {
    pick() {
      const refused: { group: Group; entries: Entry[] }[] = [];
      let best: Entry | undefined;
      chosen = undefined;
      for (const group of groups) {
        if (chosen && countOf(group) > countOf(chosen)) continue;
        const entries: Entry[] = [];
        const top = allowedTop(group.heap, podClass, rank, entries);
        if (entries.length > 0) refused.push({ group, entries });
        if (!top || (best && chosen && countOf(group) === countOf(chosen) && compareEntries(top, best) > 0)) continue;
        best = top;
        chosen = group;
      }
      chosen?.heap.pop();
      if (podClass.neighbours.mayRelent) {
        for (const { group, entries } of refused) for (const entry of entries) group.heap.push(entry);
      }
      return best?.info;
    },
    placed(info) {
      if (podClass.hasRoom(info)) chosen!.heap.push({ info, rank: rank(info) });
    },
  };
}

function groupsOf({ neighbours }: PodClass, candidates: readonly NodeInfo[], rank: Rank): Group[] {
  const byPlace = new Map<string, Entry[]>();
  for (const info of candidates) {
    const place = neighbours.leading?.placeOf(info) ?? '';
    const entries = byPlace.get(place);
    const entry = { info, rank: rank(info) };
    if (entries) entries.push(entry);
    else byPlace.set(place, [entry]);
  }
  return [...byPlace].map(([place, entries]) => ({ place, heap: new Heap(entries, compareEntries) }));
}

/** The best node that the neighbours allow, left at the top; those they refuse are taken out into `refused`. */
function allowedTop(heap: Heap<Entry>, { neighbours }: PodClass, rank: Rank, refused: Entry[]): Entry | undefined {
  if (!neighbours.minds) return heap.peek();
  for (let top = heap.peek(); top; top = heap.peek()) {
    const fresh = { info: top.info, rank: rank(top.info) };
    if (compareRanks(fresh.rank, top.rank) > 0) {
      heap.replaceTop(fresh);
    } else if (neighbours.check(top.info) === undefined) {
      return top;
    } else {
      refused.push(top);
      heap.pop();
    }
  }
  return undefined;
}

function compareEntries(a: Entry, b: Entry): number {
  return compareRanks(a.rank, b.rank) || (a.info.name < b.info.name ? -1 : 1);
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
