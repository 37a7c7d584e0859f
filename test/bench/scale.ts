/**
 * `npm run bench -- scale [--nodes N] [--pods N]`: hollow agents (the production session client over gRPC with mutual
 * TLS, a runtime that only says so) and pods of Deployments, against one real control plane with its real etcd.
 *
 * The cluster grows by stages, nodes first; with all of them and no pods heartbeats are measured; with the pods that were asked
 * for, or the first 40,000, what others do meanwhile: reads beside writes, a leader that stands still, busy agents. When time or
 * memory ends before the size that was asked for, what the last stage began is taken back, and nodes die at the largest size that
 * held; that is printed, and where the control plane spent its time. Nothing lasts longer than ten minutes.
 */
import { systemClock } from '../../lib/clock.ts';
import { isGantryError, messageOf } from '../../lib/errors.ts';
import { fromEnvelope } from '../../lib/model/codec.ts';
import type { Deployment, Pod } from '../../proto/gen/types.ts';
import { apply, sleepers } from './cluster.ts';
import { Fleet } from './hollow/fleet.ts';
import { countFalsePositives, measureHeartbeats } from './hollow/liveness.ts';
import { readWriteMix } from './hollow/load.ts';
import { childNamed, cpuSeconds, memoryBytes, percentile } from './hollow/machine.ts';
import { Plane } from './hollow/plane.ts';
import { selfTimes } from './hollow/profile.ts';
import type { Metric, Report } from './report.ts';

export interface ScaleOptions {
  readonly nodes?: number;
  readonly pods?: number;
}

const bench = 'scale';
const totalMs = 600_000;
/** For what comes after the growing: taking back, dying nodes, the end. */
const reservedMs = 75_000;
/** Of the growing, what is left for pods, and for what is measured with so many of them. */
const startingMs = 270_000;
const measuredPods = 40_000;
/** To take back what a stage had begun. */
const shrinkingMs = 25_000;
const memoryLimitBytes = 4 * 2 ** 30;
const agentProcesses = 3;
const replicasEach = 500;
/** Ten are left for others. */
const podsPerNode = 100;
const nodeStages = [50, 100, 250, 500, 1_000, 2_500, 5_000];
const podStages = [1_000, 5_000, 15_000, 40_000, 80_000, 150_000];
const pollMs = 500;
const roundNodes = 100;
/** Agents that do not come any nearer to being all connected for so long never will be. */
const stuckMs = 60_000;
const busyAgents = 2;
/** Long enough for a collection of the whole heap now and then. */
const mix = { writesPerSecond: 500, readsPerSecond: 200, durationMs: 60_000 };

export async function run(report: Report, { nodes = 5_000, pods = 150_000 }: ScaleOptions = {}): Promise<void> {
  const scale = new Scale(report, { nodes, pods });
  try {
    await scale.run();
  } finally {
    await scale.end();
  }
}

/** A stage that did not come to its end. */
class NotHeld extends Error {}

class Scale {
  readonly #report: Report;
  readonly #wanted: Required<ScaleOptions>;
  readonly #endMs = systemClock.monotonicMs() + totalMs;
  #plane!: Plane;
  #fleet!: Fleet;
  #held = { nodes: 0, pods: 0 };
  #mostResidentBytes = 0;
  /** Until the last stage that held. */
  #heldResidentBytes = 0;
  #deployments = 0;
  /** Questions in this phase. */
  #unanswered = 0;

  constructor(report: Report, wanted: Required<ScaleOptions>) {
    this.#report = report;
    this.#wanted = wanted;
  }

  async run(): Promise<void> {
    this.#plane = await Plane.start({ profile: true });
    await this.#plane.profiler!.start();
    const { token = '' } = await this.#plane.cluster.CreateToken({ role: 'node' });
    const { address, joinPort, folder } = this.#plane;
    this.#fleet = new Fleet({ servers: [address], joinPort, token, dataDir: `${folder}/nodes` }, agentProcesses);
    const reached = await this.#grow(token);
    if (this.#held.pods > 0) await this.#attempt(() => this.#killNodes());
    await this.#attempt(() => this.#drain());
    this.#summary(reached);
    await this.#plane.profiler!.stop();
    await this.#plane.stop();
    await this.#printWarnings();
    this.#printProfile();
  }

  async end(): Promise<void> {
    await this.#fleet?.end();
    await this.#plane?.remove();
  }

  /** Whether the size that was asked for was reached. */
  async #grow(token: string): Promise<boolean> {
    const allNodes = await this.#asFarAsItGoes(stagesTo(nodeStages, this.#wanted.nodes), (nodes) => this.#join(nodes));
    // Those who were on their way when the time was over go; those who are here stay, in round figures.
    const round = Math.floor(this.#fleet.connected / roundNodes) * roundNodes;
    if (round > this.#held.nodes) this.#held = { ...this.#held, nodes: round };
    this.#fleet.kill(this.#fleet.size - this.#held.nodes);
    if (this.#held.nodes > 0) {
      await this.#attempt(() => measureHeartbeats(this.#plane, this.#held.nodes, (metric) => this.#say(metric)));
    }
    const room = Math.min(this.#wanted.pods, this.#held.nodes * podsPerNode);
    const allPods = await this.#asFarAsItGoes(stagesTo(podStages, room), async (pods) => {
      await this.#start(pods);
      if (pods === Math.min(room, measuredPods)) await this.#measure(token);
    });
    if (!allPods) await this.#attempt(() => this.#shrink());
    return allNodes && allPods && room === this.#wanted.pods;
  }

  async #measure(token: string): Promise<void> {
    say(`with ${this.#held.nodes} nodes and ${this.#held.pods} pods:`);
    await this.#attempt(() => countFalsePositives(this.#plane, token, busyAgents, (metric) => this.#say(metric)));
    await this.#attempt(() => this.#measureReads());
  }

  async #asFarAsItGoes(stages: readonly number[], reach: (size: number) => Promise<void>): Promise<boolean> {
    return await this.#attempt(async () => {
      for (const stage of stages) if (stage > 0) await reach(stage);
    });
  }

  /** False when it did not come to its end: time, memory, or a control plane that answers no more. */
  async #attempt(phase: () => Promise<void>): Promise<boolean> {
    try {
      if (this.#plane.ended) throw new NotHeld('the control plane has ended');
      if (systemClock.monotonicMs() > this.#endMs) throw new NotHeld('no time left');
      await phase();
      return true;
    } catch (error) {
      if (!(error instanceof NotHeld || isGantryError(error))) throw error;
      say(`not held: ${messageOf(error)}`);
      return false;
    }
  }

  async #join(nodes: number): Promise<void> {
    const phase = this.#phase(`join to ${nodes} nodes`);
    this.#fleet.grow(nodes - this.#fleet.size);
    let most = this.#fleet.connected;
    let progressMs = systemClock.monotonicMs();
    await this.#until(
      phase.name,
      () => {
        const { connected } = this.#fleet;
        const nowMs = systemClock.monotonicMs();
        if (connected > most) {
          most = connected;
          progressMs = nowMs;
        }
        if (nowMs - progressMs > stuckMs) throw new NotHeld(`${phase.name}: ${most} is the most that are connected`);
        return connected >= nodes;
      },
      reservedMs + startingMs,
    );
    phase.end();
    this.#held = { ...this.#held, nodes };
    this.#heldResidentBytes = this.#mostResidentBytes;
  }

  async #start(pods: number): Promise<void> {
    const phase = this.#phase(`start to ${pods} pods`);
    const { cluster } = this.#plane;
    const missing = Math.ceil((pods - this.#deployments * replicasEach) / replicasEach);
    await Promise.all(
      Array.from({ length: missing }, (_, index) => {
        const replicas = Math.min(replicasEach, pods - (this.#deployments + index) * replicasEach);
        const deployment = sleepers(deploymentName(this.#deployments + index), replicas);
        return this.#answer(() => apply(cluster, deployment));
      }),
    );
    this.#deployments += missing;
    const beganMs = systemClock.monotonicMs();
    const seen = { created: 0, bound: 0 };
    await this.#until(
      phase.name,
      async () => {
        const counts = await this.#counts();
        const elapsed = (systemClock.monotonicMs() - beganMs) / 1000;
        if (seen.created === 0 && counts.created >= pods) seen.created = elapsed;
        if (seen.bound === 0 && this.#fleet.pods >= pods) seen.bound = elapsed;
        return counts.ready >= pods;
      },
      reservedMs,
    );
    const s = (seconds: number) => `${seconds.toFixed(1)} s`;
    phase.end(`created after ${s(seen.created)}, bound and with their agents after ${s(seen.bound)}`);
    this.#held = { ...this.#held, pods };
    this.#heldResidentBytes = this.#mostResidentBytes;
  }

  /** To what was held. */
  async #shrink(): Promise<void> {
    const phase = this.#phase(`back to ${this.#held.pods} pods`);
    const kept = Math.ceil(this.#held.pods / replicasEach);
    const endMs = systemClock.monotonicMs() + shrinkingMs;
    await this.#scaleToNothing(kept, this.#deployments, endMs);
    this.#deployments = kept;
    while (this.#fleet.pods > this.#held.pods && systemClock.monotonicMs() < endMs) await systemClock.sleep(pollMs);
    phase.end();
  }

  async #scaleToNothing(from: number, to: number, endMs = this.#endMs): Promise<void> {
    const { cluster } = this.#plane;
    const names = Array.from({ length: to - from }, (_, index) => deploymentName(from + index));
    const scale = (name: string) =>
      this.#answer(() => cluster.Scale({ kind: 'Deployment', namespace: 'default', name, replicas: 0 }), endMs);
    await Promise.all(names.map(scale));
  }

  /** Asked again and again, as ctl would be: a phase is over when it has come to its end, not when one call was slow. */
  async #answer<T>(ask: () => Promise<T>, endMs = this.#endMs): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isGantryError(error, 'deadlineExceeded') || systemClock.monotonicMs() > endMs) throw error;
        this.#unanswered += 1;
      }
    }
  }

  async #counts(): Promise<{ created: number; ready: number }> {
    const list = () => this.#plane.cluster.List({ kind: 'Deployment', namespace: 'default' });
    const { items = [] } = await this.#answer(list);
    const deployments = items.map((item) => fromEnvelope(item) as Deployment);
    const sum = (field: 'replicas' | 'readyReplicas') =>
      deployments.reduce((total, { status }) => total + (status?.[field] ?? 0), 0);
    return { created: sum('replicas'), ready: sum('readyReplicas') };
  }

  async #measureReads(): Promise<void> {
    const { cluster } = this.#plane;
    const list = () => cluster.List({ kind: 'Pod', namespace: 'default', limit: 2_000 });
    const { items = [] } = await this.#answer(list);
    const pods = items.map((item) => (fromEnvelope(item) as Pod).metadata as { namespace: string; name: string });
    const phase = this.#phase('reads beside writes');
    const profiler = this.#plane.profiler!;
    await profiler.stop(); // it takes time itself
    const { writes, reads } = await readWriteMix(this.#plane, { ...mix, pods }).finally(() => profiler.start());
    const failures = [...writes.failures, ...reads.failures];
    phase.end(`${failures.length} failed${failures[0] ? `: ${failures[0]}` : ''}`);
    this.#say({ metric: 'writes', value: writes.perSecond, unit: '/s', target: { bound: '>=', value: 490 } });
    this.#say({ metric: 'reads', value: reads.perSecond, unit: '/s' });
    this.#say({ metric: 'write p99', value: percentile(writes.ms, 0.99), unit: 'ms' });
    const p99 = percentile(reads.ms, 0.99);
    this.#say({ metric: 'read p50', value: percentile(reads.ms, 0.5), unit: 'ms' });
    this.#say({ metric: 'read p99', value: p99, unit: 'ms', target: { bound: '<=', value: 50 } });
  }

  async #killNodes(): Promise<void> {
    const count = Math.max(1, Math.round(this.#held.nodes / 100));
    const phase = this.#phase(`${count} nodes die`);
    const lostBefore = await this.#plane.nodesLost();
    this.#fleet.kill(count);
    await this.#until('lost', async () => (await this.#plane.nodesLost()) - lostBefore >= count, 20_000);
    const lost = phase.elapsed();
    await this.#until('replaced', async () => (await this.#counts()).ready >= this.#held.pods, 10_000);
    phase.end(`judged lost after ${lost.toFixed(1)} s`);
    const value = (await this.#plane.nodesLost()) - lostBefore - count;
    const target = { bound: '<=', value: 0 } as const;
    this.#say({ metric: 'false positives while nodes die', value, unit: 'nodes', target });
  }

  /** Everything scaled to nothing; not waited for when time is short. */
  async #drain(): Promise<void> {
    const phase = this.#phase('scale to zero');
    await this.#scaleToNothing(0, this.#deployments);
    await this.#until(phase.name, () => this.#fleet.pods === 0, 8_000);
    phase.end();
  }

  #summary(reached: boolean): void {
    const { nodes, pods } = this.#held;
    const most = reached ? this.#plane.mostResidentBytes() : this.#heldResidentBytes;
    const mebibytes = 4096;
    this.#say({ metric: 'nodes held', value: nodes, unit: '', target: { bound: '>=', value: this.#wanted.nodes } });
    this.#say({ metric: 'pods held', value: pods, unit: '', target: { bound: '>=', value: this.#wanted.pods } });
    const target = { bound: '<=', value: mebibytes } as const;
    this.#say({ metric: 'control plane resident, at most, at that size', value: most / 2 ** 20, unit: 'MiB', target });
    const took = (totalMs - (this.#endMs - systemClock.monotonicMs())) / 1000;
    this.#say({ metric: 'the whole run', value: took, unit: 's', target: { bound: '<=', value: totalMs / 1000 } });
    if (!reached) say(`the largest size held: ${nodes} nodes with ${pods} pods`);
  }

  async #printWarnings(): Promise<void> {
    const warnings = await this.#plane.warnings(12);
    if (warnings.length > 0) say('what the control plane warned of:');
    for (const { message, times } of warnings) say(`  ${String(times).padStart(6)} times  ${message.slice(0, 300)}`);
  }

  #printProfile(): void {
    say(
      'where the control plane spent its time (self time of its main thread, but for the minute of reads and writes):',
    );
    for (const { where, seconds } of selfTimes(this.#plane.profiler!.profiles, 25)) {
      say(`  ${seconds.toFixed(1).padStart(6)} s  ${where}`);
    }
  }

  /** Waits for a condition; NotHeld when what is left of the run would be less than `leaveMs`, or memory is exceeded. */
  async #until(what: string, condition: () => boolean | Promise<boolean>, leaveMs: number): Promise<void> {
    let toldMs = systemClock.monotonicMs();
    while (!(await condition())) {
      this.#fleet.check();
      if (this.#plane.ended) throw new Error('the control plane has ended');
      const nowMs = systemClock.monotonicMs();
      if (nowMs > this.#endMs - leaveMs) throw new NotHeld(`${what}: no time left`);
      const resident = this.#plane.residentBytes();
      this.#mostResidentBytes = Math.max(this.#mostResidentBytes, resident);
      if (resident > memoryLimitBytes) throw new NotHeld(`${what}: the control plane takes ${mebi(resident)}`);
      if (nowMs - toldMs > 10_000) {
        toldMs = nowMs;
        const { connected, pods, longestSilenceMs } = this.#fleet;
        say(
          `  ... ${connected} connected, ${pods} pods, longest silence ${Math.round(longestSilenceMs)} ms, ${mebi(resident)}`,
        );
      }
      await systemClock.sleep(pollMs);
    }
  }

  #phase(name: string): { readonly name: string; elapsed(): number; end(note?: string): void } {
    const startMs = systemClock.monotonicMs();
    const { pid } = this.#plane;
    const etcd = childNamed(pid, 'etcd');
    const costs = () => [
      this.#plane.cpuSeconds(),
      etcd === undefined ? 0 : cpuSeconds(etcd),
      this.#fleet.pids.reduce((sum, child) => sum + cpuSeconds(child), 0),
    ];
    const before = costs();
    this.#unanswered = 0;
    const elapsed = (): number => (systemClock.monotonicMs() - startMs) / 1000;
    return {
      name,
      elapsed,
      end: (note = '') => {
        const [plane, store, agents] = costs().map((seconds, index) => (seconds - before[index]!).toFixed(1));
        const memory = `${mebi(this.#plane.residentBytes())}, etcd ${etcd === undefined ? '?' : mebi(memoryBytes(etcd, 'VmRSS'))}`;
        this.#say({ metric: name, value: elapsed(), unit: 's' });
        say(`${name}: ${elapsed().toFixed(1)} s${note && ` (${note})`}`);
        say(`  processor seconds: control plane ${plane}, etcd ${store}, agents ${agents}; resident ${memory}`);
        if (this.#unanswered > 0)
          say(`  calls that were not answered within 10 s, and asked again: ${this.#unanswered}`);
      },
    };
  }

  #say(metric: Omit<Metric, 'bench'>): void {
    this.#report({ bench, ...metric });
  }
}

const deploymentName = (index: number): string => `load-${index}`;
const mebi = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
const stagesTo = (stages: readonly number[], last: number): number[] => [...stages.filter((one) => one < last), last];
const say = (line: string): void => console.error(line);
