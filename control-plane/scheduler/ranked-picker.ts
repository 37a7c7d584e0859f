/**
 * An ordered index of nodes: the lowest rank first, compared level by level, ties by name. A placement moves one entry.
 *
 * Nodes whose places are the same are a group (neighbourhood.ts) with an index of its own. What a placement changes for
 * all of a group is no part of the entries' ranks but added when groups are compared, so that a placement does not make
 * the ranks of a whole zone stale. Where it changes other nodes all the same (places too many to be grouped by), their
 * ranks are corrected when they come to the top, which is right because a placement only ever makes a rank worse. (Not
 * so with preferred affinity to pods of the same class: nodes that became better are seen a little late.)
 */
import { Heap } from './heap.ts';
import type { NodeInfo } from './node-info.ts';
import type { Picker, PodClass } from './strategies.ts';

/** One thing by which nodes are compared; lower is better. What `group` gives is the same for all nodes of a group. */
export interface Level {
  readonly node?: (info: NodeInfo) => number;
  readonly group?: (info: NodeInfo) => number;
}

interface Group {
  /** Any of its nodes. */
  readonly info: NodeInfo;
  /** Positions among the candidates. */
  readonly heap: Heap<number>;
}

interface Choice {
  readonly group: Group;
  readonly position: number;
}

export function rankedPicker(podClass: PodClass, candidates: readonly NodeInfo[], levels: readonly Level[]): Picker {
  return new RankedPicker(podClass, candidates, levels);
}

class RankedPicker implements Picker {
  readonly #podClass: PodClass;
  readonly #candidates: readonly NodeInfo[];
  readonly #levels: readonly Level[];
  /** The nodes' parts of the ranks, one candidate's levels after another's. */
  readonly #ranks: Float64Array;
  readonly #groups: readonly Group[];
  #chosen: Choice | undefined;

  constructor(podClass: PodClass, candidates: readonly NodeInfo[], levels: readonly Level[]) {
    this.#podClass = podClass;
    this.#candidates = candidates;
    this.#levels = levels;
    this.#ranks = new Float64Array(candidates.length * levels.length);
    for (let level = 0; level < levels.length; level += 1) this.#rankAll(level);
    this.#groups = this.#grouped();
  }

  pick(): NodeInfo | undefined {
    const { isClosed } = this.#podClass.neighbours.grouping;
    const postponed: Choice[] = [];
    let chosen: Choice | undefined;
    for (const group of this.#groups) {
      if (isClosed?.(group.info)) continue;
      const position = this.#allowedTop(group, postponed);
      if (position === undefined) continue;
      const choice = { group, position };
      if (!chosen || this.#compareChoices(choice, chosen) < 0) chosen = choice;
    }
    chosen?.group.heap.pop();
    for (const { group, position } of postponed) group.heap.push(position);
    this.#chosen = chosen;
    return chosen && this.#candidates[chosen.position];
  }

  placed(info: NodeInfo): void {
    const { group, position } = this.#chosen!;
    if (!this.#podClass.hasRoom(info)) return;
    this.#rank(position);
    group.heap.push(position);
  }

  #grouped(): Group[] {
    const { minds, grouping } = this.#podClass.neighbours;
    const byNumber = new Map<number, number[]>();
    for (let position = 0; position < this.#candidates.length; position += 1) {
      const number = minds ? grouping.groupOf(this.#candidates[position]!) : 0;
      const positions = byNumber.get(number);
      if (positions) positions.push(position);
      else byNumber.set(number, [position]);
    }
    const compare = this.#comparing();
    return [...byNumber.values()].map((positions) => {
      const info = this.#candidates[positions[0]!]!;
      return { info, heap: new Heap(positions, compare) };
    });
  }

  /** The best that may be taken now, left at the top; what must wait is taken out into `postponed`, the rest for good. */
  #allowedTop(group: Group, postponed: Choice[]): number | undefined {
    const { heap } = group;
    const { minds, refuses, grouping } = this.#podClass.neighbours;
    if (!minds) return heap.peek();
    for (let top = heap.peek(); top !== undefined; top = heap.peek()) {
      const info = this.#candidates[top]!;
      if (grouping.shifts && this.#becameWorse(top)) {
        heap.replaceTop(top);
      } else if (refuses?.(info) !== undefined) {
        heap.pop();
      } else if (grouping.postpones?.(info) !== undefined) {
        postponed.push({ group, position: top });
        heap.pop();
      } else {
        return top;
      }
    }
    return undefined;
  }

  #becameWorse(position: number): boolean {
    const start = position * this.#levels.length;
    const before = this.#ranks.slice(start, start + this.#levels.length);
    this.#rank(position);
    for (const [level, rank] of before.entries()) {
      if (this.#ranks[start + level] !== rank) return this.#ranks[start + level]! > rank;
    }
    return false;
  }

  #rankAll(level: number): void {
    const { node } = this.#levels[level]!;
    if (!node) return;
    const width = this.#levels.length;
    for (let position = 0; position < this.#candidates.length; position += 1) {
      this.#ranks[position * width + level] = node(this.#candidates[position]!);
    }
  }

  #rank(position: number): void {
    const width = this.#levels.length;
    for (let level = 0; level < width; level += 1) {
      this.#ranks[position * width + level] = this.#levels[level]!.node?.(this.#candidates[position]!) ?? 0;
    }
  }

  /** Within a group. */
  #comparing(): (a: number, b: number) => number {
    const ranks = this.#ranks;
    const width = this.#levels.length;
    return (a, b) => {
      for (let level = 0; level < width; level += 1) {
        const rankA = ranks[a * width + level]!;
        const rankB = ranks[b * width + level]!;
        if (rankA !== rankB) return rankA < rankB ? -1 : 1;
      }
      return a - b;
    };
  }

  /** Between groups. */
  #compareChoices(a: Choice, b: Choice): number {
    const { crowding } = this.#podClass.neighbours.grouping;
    const crowded = crowding ? crowding(a.group.info) - crowding(b.group.info) : 0;
    if (crowded !== 0) return crowded;
    const width = this.#levels.length;
    for (let level = 0; level < width; level += 1) {
      const { group } = this.#levels[level]!;
      const common = group ? group(a.group.info) - group(b.group.info) : 0;
      const difference = common + this.#ranks[a.position * width + level]! - this.#ranks[b.position * width + level]!;
      if (difference !== 0) return difference;
    }
    return a.position - b.position;
  }
}
