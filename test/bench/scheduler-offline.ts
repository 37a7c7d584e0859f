/**
 * How even a placement could have been, for somebody who knew all pods beforehand and had all the time: a search that
 * moves pods, and makes two of them change places, under the constraints that the scheduler keeps (the hard ones; wishes
 * cost it nothing). It takes steps that make things a little worse, too, ever more rarely (simulated annealing;
 * Kirkpatrick, Gelatt and Vecchi, 1983).
 *
 * What it finds is a placement that exists, so the optimum is at most that; it is no proof that there is none better.
 * From the other side the optimum is held by the lower bound (scheduler-bound.ts).
 */
import { verdict } from '../../control-plane/scheduler/filters.ts';
import { neighbourhood, neighbourReason } from '../../control-plane/scheduler/neighbourhood.ts';
import type { NodeInfo } from '../../control-plane/scheduler/node-info.ts';
import { pictureOf } from '../../control-plane/scheduler/picture.ts';
import { classKeyOf } from '../../control-plane/scheduler/pod-classes.ts';
import { requestsOf } from '../../control-plane/scheduler/requests.ts';
import { type Random, seededRandom } from '../../lib/random.ts';
import type { Node, Pod } from '../../proto/gen/types.ts';
import { OfflineRules } from './scheduler-offline-rules.ts';

export interface SearchOptions {
  /** Moves and exchanges that are tried; ten million take about a second. */
  readonly tries: number;
  readonly seed?: number;
  /**
   * How much worse a step may be at first, in what a pod adds to the imbalance on average; the more the fewer pods there
   * are. Default: 0.03, for thousands.
   */
  readonly firstWorsening?: number;
}

/** The same at last. */
const lastWorsening = 0.0003;
const shareOfMoves = 0.3;
/** Of the tries, at the end, take only what is better. */
const shareOfDescent = 0.1;

/** The placement that the search ends with, from `placed` (bound pods): at least as even. */
export function searchOffline(nodes: readonly Node[], placed: readonly Pod[], options: SearchOptions): Pod[] {
  const search = new Search(nodes, placed, seededRandom(options.seed ?? 1));
  const before = search.imbalance();
  search.run(options.tries, before / placed.length, options.firstWorsening ?? 0.03);
  return search.imbalance() < before ? search.placed() : [...placed];
}

/** Why a pod of a placement could not be where it is, in the scheduler's own words; undefined when all could. */
export function refusal(nodes: readonly Node[], placed: readonly Pod[]): string | undefined {
  const picture = pictureOf(nodes, placed);
  for (const pod of placed) {
    const info = picture.info(pod.spec.nodeName!)!;
    const reason = picture.attempt(() => {
      picture.release(info, pod);
      return verdict(pod, info) ?? neighbourReason(neighbourhood(pod, picture), info);
    });
    if (reason !== undefined) return `${pod.metadata.name} on ${info.name}: ${reason}`;
  }
  return undefined;
}

class Search {
  readonly #pods: readonly Pod[];
  readonly #infos: readonly NodeInfo[];
  readonly #rules: OfflineRules;
  readonly #random: Random;
  /** By pod. */
  readonly #classes: Int32Array;
  readonly #at: Int32Array;
  readonly #cpu: Float64Array;
  readonly #memory: Float64Array;
  /** By node: what is in use, what a unit of it squared costs, and how many more pods go there. */
  readonly #cpuUsed: Float64Array;
  readonly #memoryUsed: Float64Array;
  readonly #cpuCost: Float64Array;
  readonly #memoryCost: Float64Array;
  readonly #slots: Int32Array;

  constructor(nodes: readonly Node[], placed: readonly Pod[], random: Random) {
    const picture = pictureOf(nodes, []);
    const { infos } = picture;
    const { capacity } = picture.nodes;
    const numbers = new Map<string, number>();
    const firsts: Pod[] = [];
    this.#classes = Int32Array.from(placed, (pod) => {
      const key = classKeyOf(pod);
      const number = numbers.get(key) ?? firsts.push(pod) - 1;
      numbers.set(key, number);
      return number;
    });
    this.#pods = placed;
    this.#infos = infos;
    this.#random = random;
    this.#rules = new OfflineRules(firsts, picture);
    this.#at = Int32Array.from(placed, ({ spec }) => picture.info(spec.nodeName!)!.index);
    this.#cpu = Float64Array.from(placed, (pod) => requestsOf(pod).cpuMillis);
    this.#memory = Float64Array.from(placed, (pod) => requestsOf(pod).memoryBytes);
    this.#cpuUsed = new Float64Array(infos.length);
    this.#memoryUsed = new Float64Array(infos.length);
    this.#cpuCost = Float64Array.from(infos, (info) => 1 / info.allocatable.cpuMillis / capacity.cpuMillis);
    this.#memoryCost = Float64Array.from(infos, (info) => 1 / info.allocatable.memoryBytes / capacity.memoryBytes);
    this.#slots = Int32Array.from(infos, (info) => Math.min(info.allocatable.pods, info.addresses));
    for (const pod of placed.keys()) this.#count(pod, 1);
  }

  imbalance(): number {
    let sum = 0;
    for (let node = 0; node < this.#infos.length; node += 1) {
      sum += this.#cpuUsed[node]! ** 2 * this.#cpuCost[node]! + this.#memoryUsed[node]! ** 2 * this.#memoryCost[node]!;
    }
    return sum;
  }

  placed(): Pod[] {
    return this.#pods.map((pod, index) => ({
      ...pod,
      spec: { ...pod.spec, nodeName: this.#infos[this.#at[index]!]!.name },
    }));
  }

  run(tries: number, unit: number, firstWorsening: number): void {
    const cooling = tries * (1 - shareOfDescent);
    for (let step = 0; step < tries; step += 1) {
      const heat = step < cooling ? unit * firstWorsening * (lastWorsening / firstWorsening) ** (step / cooling) : 0;
      const atMost = heat === 0 ? -unit * 1e-9 : -heat * Math.log(1 - this.#random.next());
      const pod = this.#any(this.#pods.length);
      if (this.#random.next() < shareOfMoves) this.#tryMove(pod, this.#any(this.#infos.length), atMost);
      else this.#tryExchange(pod, this.#any(this.#pods.length), atMost);
    }
  }

  #any(count: number): number {
    return Math.floor(this.#random.next() * count);
  }

  #tryMove(pod: number, to: number, atMost: number): void {
    const from = this.#at[pod]!;
    const [cpu, memory] = [this.#cpu[pod]!, this.#memory[pod]!];
    if (from === to || this.#added(from, -cpu, -memory) + this.#added(to, cpu, memory) >= atMost) return;
    this.#count(pod, -1);
    this.#at[pod] = this.#takes(to, pod) && this.#rules.allows(this.#classes[pod]!, from, to) ? to : from;
    this.#count(pod, 1);
  }

  #tryExchange(one: number, other: number, atMost: number): void {
    const [here, there] = [this.#at[one]!, this.#at[other]!];
    const [oneClass, otherClass] = [this.#classes[one]!, this.#classes[other]!];
    if (here === there || oneClass === otherClass) return;
    const cpu = this.#cpu[other]! - this.#cpu[one]!;
    const memory = this.#memory[other]! - this.#memory[one]!;
    if (this.#added(here, cpu, memory) + this.#added(there, -cpu, -memory) >= atMost) return;
    if (!this.#rules.suits(oneClass, there) || !this.#rules.suits(otherClass, here)) return;
    this.#count(one, -1);
    this.#count(other, -1);
    this.#putBoth(one, there, other, here);
  }

  /** Both are counted nowhere; puts them where they were when one cannot go where it should. */
  #putBoth(one: number, oneTo: number, other: number, otherTo: number): void {
    const [before, otherBefore] = [this.#at[one]!, this.#at[other]!];
    if (this.#takes(oneTo, one) && this.#rules.allows(this.#classes[one]!, before, oneTo)) {
      this.#at[one] = oneTo;
      this.#count(one, 1);
      if (this.#takes(otherTo, other) && this.#rules.allows(this.#classes[other]!, otherBefore, otherTo)) {
        this.#at[other] = otherTo;
        this.#count(other, 1);
        return;
      }
      this.#count(one, -1);
      this.#at[one] = before;
    }
    this.#count(one, 1);
    this.#count(other, 1);
  }

  /** To the imbalance, by so much more on the node. */
  #added(node: number, cpu: number, memory: number): number {
    return (
      this.#cpuCost[node]! * cpu * (2 * this.#cpuUsed[node]! + cpu) +
      this.#memoryCost[node]! * memory * (2 * this.#memoryUsed[node]! + memory)
    );
  }

  #takes(node: number, pod: number): boolean {
    const { allocatable } = this.#infos[node]!;
    return (
      this.#slots[node]! > 0 &&
      this.#cpuUsed[node]! + this.#cpu[pod]! <= allocatable.cpuMillis &&
      this.#memoryUsed[node]! + this.#memory[pod]! <= allocatable.memoryBytes
    );
  }

  #count(pod: number, by: 1 | -1): void {
    const node = this.#at[pod]!;
    this.#cpuUsed[node]! += by * this.#cpu[pod]!;
    this.#memoryUsed[node]! += by * this.#memory[pod]!;
    this.#slots[node]! -= by;
    this.#rules.count(this.#classes[pod]!, node, by);
  }
}
