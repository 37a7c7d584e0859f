/**
 * What a pass has placed one after another is evened out at its end: two pods change places when that brings the nodes
 * nearer to the same share in use, and when neither they nor anybody else can tell the difference otherwise (outlook.ts).
 * Whoever comes first does not know who comes later; a pod that asks for little took the place where only it would fit,
 * or the other way round.
 *
 * Nobody gains or loses a place by it, and what no pass has placed stays where it is. Every pod is compared with a bounded
 * number of others; the same picture gives the same exchanges.
 */

import type { Pod } from '../../proto/gen/types.ts';
import { staticAnswers } from './candidates.ts';
import { type Check, type Filter, firstReason, isStatic } from './filters.ts';
import type { NodeInfo } from './node-info.ts';
import { type Outlook, Outlooks } from './outlook.ts';
import type { Picture, PodFacts } from './picture.ts';

export interface Placement {
  readonly pod: Pod;
  /** Where it is reserved in the picture. */
  info: NodeInfo;
}

/** Identical pods. */
export interface PlacedClass {
  readonly placements: readonly Placement[];
  readonly facts: PodFacts;
  /** Filters that look at what is on the node. */
  readonly roomChecks: readonly Check[];
  /** Whether its strategy wants nodes to be even. */
  readonly evensOut: boolean;
}

/** Partners that a pod is compared with in a round. */
const mostPartners = 30;
const rounds = 3;
/** Of what a pod alone on its node would add to the imbalance; less is not worth it. */
const leastGain = 0.01;

interface Seat {
  readonly placement: Placement;
  readonly traveller: Traveller;
}

interface Traveller {
  readonly placed: PlacedClass;
  readonly outlook: Outlook;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  /** Answers of the filters that look at the node alone, by its index. */
  readonly answers: readonly Uint8Array[];
}

export function exchange(all: readonly PlacedClass[], picture: Picture, filters: readonly Filter[]): void {
  const classes = all.filter(({ placements }) => placements.length > 0);
  if (classes.length < 2) return;
  const outlooks = new Outlooks(classes.map(firstOf), picture);
  const travellers = classes.flatMap((placed) => {
    const outlook = placed.evensOut ? outlooks.of(firstOf(placed)) : undefined;
    return outlook ? [traveller(placed, outlook, picture, filters)] : [];
  });
  if (travellers.length < 2) return;
  const { capacity } = picture.nodes;
  for (const seats of seatsByPlace(travellers)) {
    for (let round = 0; round < rounds; round += 1) exchangeSome(seats, round / rounds, picture, capacity);
  }
}

function firstOf({ placements }: PlacedClass): Pod {
  return placements[0]!.pod;
}

function traveller(placed: PlacedClass, outlook: Outlook, picture: Picture, filters: readonly Filter[]): Traveller {
  const { cpuMillis, memoryBytes } = placed.facts.requests;
  const answers = filters.filter(isStatic).flatMap((filter) => staticAnswers(filter, firstOf(placed), picture) ?? []);
  return { placed, outlook, cpuMillis, memoryBytes, answers };
}

/** Those who are in the same place of every topology that any of them has to stay in. */
function seatsByPlace(travellers: readonly Traveller[]): Iterable<readonly Seat[]> {
  const bounds = [...new Set(travellers.flatMap(({ outlook }) => outlook.bounds))];
  const seats = travellers.flatMap((traveller) =>
    traveller.placed.placements.map((placement): Seat => ({ placement, traveller })),
  );
  return Map.groupBy(seats, ({ placement: { info } }) => bounds.map(({ ids }) => ids[info.index]).join()).values();
}

/** Each with the best of some others, who are taken from all over the list; `shift` (0 to 1) says which. */
function exchangeSome(seats: readonly Seat[], shift: number, picture: Picture, capacity: Capacity): void {
  const others = seats.length - 1;
  const partners = Math.min(mostPartners, others);
  for (const [position, seat] of seats.entries()) {
    let best: Seat | undefined;
    let lowest = -leastGain * alone(seat, capacity);
    for (let partner = 0; partner < partners; partner += 1) {
      const distance = 1 + Math.floor(((partner + shift) * others) / partners);
      const other = seats[(position + distance) % seats.length]!;
      if (other.traveller === seat.traveller) continue;
      const change = imbalanceBy(seat, other, capacity);
      if (change < lowest && suits(seat, other) && suits(other, seat)) [best, lowest] = [other, change];
    }
    if (best) changePlaces(seat, best, picture);
  }
}

type Capacity = Picture['nodes']['capacity'];

/** What the exchange would add to the cluster's imbalance (strategies.ts says what that is). */
function imbalanceBy(one: Seat, other: Seat, capacity: Capacity): number {
  const { info: here } = one.placement;
  const { info: there } = other.placement;
  const cpu = other.traveller.cpuMillis - one.traveller.cpuMillis;
  const memory = other.traveller.memoryBytes - one.traveller.memoryBytes;
  const ofCpu =
    (2 * here.requestedCpuMillis + cpu) / here.allocatable.cpuMillis -
    (2 * there.requestedCpuMillis - cpu) / there.allocatable.cpuMillis;
  const ofMemory =
    (2 * here.requestedMemoryBytes + memory) / here.allocatable.memoryBytes -
    (2 * there.requestedMemoryBytes - memory) / there.allocatable.memoryBytes;
  return (cpu && (cpu * ofCpu) / capacity.cpuMillis) + (memory && (memory * ofMemory) / capacity.memoryBytes);
}

function alone({ traveller: { cpuMillis, memoryBytes }, placement: { info } }: Seat, capacity: Capacity): number {
  const ofCpu = cpuMillis && cpuMillis ** 2 / info.allocatable.cpuMillis / capacity.cpuMillis;
  return ofCpu + (memoryBytes && memoryBytes ** 2 / info.allocatable.memoryBytes / capacity.memoryBytes);
}

/** Whether the node's own fields let it go to where the other is. */
function suits({ traveller }: Seat, { placement: { info } }: Seat): boolean {
  for (const answers of traveller.answers) if (answers[info.index] === 0) return false;
  return true;
}

/** Or leaves both where they are. */
function changePlaces(one: Seat, other: Seat, picture: Picture): void {
  const { info: here } = one.placement;
  const { info: there } = other.placement;
  if (here === there) return;
  picture.release(here, one.placement.pod, one.traveller.placed.facts);
  picture.release(there, other.placement.pod, other.traveller.placed.facts);
  if (maySwap(one.traveller, here, there) && maySwap(other.traveller, there, here)) {
    one.placement.info = there;
    other.placement.info = here;
  }
  picture.reserve(one.placement.info, one.placement.pod, one.traveller.placed.facts);
  picture.reserve(other.placement.info, other.placement.pod, other.traveller.placed.facts);
}

function maySwap({ placed, outlook }: Traveller, from: NodeInfo, to: NodeInfo): boolean {
  for (const sight of outlook.sights) if (sight(from) !== sight(to)) return false;
  return firstReason(placed.roomChecks, to) === undefined;
}
