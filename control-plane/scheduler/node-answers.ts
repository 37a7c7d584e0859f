/** What is asked of the nodes alone, whatever runs on them: computed once, and remembered until nodes change. */
import type { NodeInfo } from './node-info.ts';

/** The values of a topology label, numbered. */
export interface Places {
  /** By the node's index; -1 without the label. */
  readonly ids: Int32Array;
  readonly size: number;
}

/** Answers of filters that are remembered, each a byte for every node; and lists of nodes, eight bytes for each. */
const mostAnswers = 1024;
const mostLists = 128;

const softEffect = 'PreferNoSchedule';

export class NodeAnswers {
  /** In the order of names. */
  readonly #infos: () => readonly NodeInfo[];
  readonly #answers = new Map<string, Uint8Array>();
  readonly #lists = new Map<string, readonly NodeInfo[]>();
  readonly #places = new Map<string, Places>();
  #capacity: { readonly cpuMillis: number; readonly memoryBytes: number } | undefined;
  #softTaints: boolean | undefined;

  constructor(infos: () => readonly NodeInfo[]) {
    this.#infos = infos;
  }

  /** Whether any node has a taint of effect PreferNoSchedule. */
  get hasSoftTaints(): boolean {
    this.#softTaints ??= this.#infos().some(({ node }) =>
      node.spec.taints?.some(({ effect }) => effect === softEffect),
    );
    return this.#softTaints;
  }

  /** Of all nodes together. */
  get capacity(): { readonly cpuMillis: number; readonly memoryBytes: number } {
    if (!this.#capacity) {
      const sum = { cpuMillis: 0, memoryBytes: 0 };
      for (const { allocatable } of this.#infos()) {
        sum.cpuMillis += allocatable.cpuMillis;
        sum.memoryBytes += allocatable.memoryBytes;
      }
      this.#capacity = sum;
    }
    return this.#capacity;
  }

  /** The answer of `ask` for every node (1 is yes), remembered under `key` until nodes change. */
  answers(key: string, ask: (info: NodeInfo) => boolean): Uint8Array {
    let answers = this.#answers.get(key);
    if (!answers) {
      answers = Uint8Array.from(this.#infos(), (info) => Number(ask(info)));
      if (this.#answers.size >= mostAnswers) this.#answers.clear();
      this.#answers.set(key, answers);
    }
    return answers;
  }

  /** The same for a list of nodes. */
  listed(key: string, list: () => readonly NodeInfo[]): readonly NodeInfo[] {
    let known = this.#lists.get(key);
    if (!known) {
      known = list();
      if (this.#lists.size >= mostLists) this.#lists.clear();
      this.#lists.set(key, known);
    }
    return known;
  }

  places(topologyKey: string): Places {
    let places = this.#places.get(topologyKey);
    if (!places) {
      const numbers = new Map<string, number>();
      const ids = Int32Array.from(this.#infos(), ({ node }) => {
        const place = node.metadata.labels?.[topologyKey];
        if (place === undefined) return -1;
        const number = numbers.get(place) ?? numbers.size;
        numbers.set(place, number);
        return number;
      });
      places = { ids, size: numbers.size };
      this.#places.set(topologyKey, places);
    }
    return places;
  }

  /** Nodes have changed. */
  forget(): void {
    this.#answers.clear();
    this.#lists.clear();
    this.#places.clear();
    this.#capacity = undefined;
    this.#softTaints = undefined;
  }
}
