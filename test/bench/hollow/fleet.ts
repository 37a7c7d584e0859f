/** Hollow agents in a few processes of their own. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../lib/clock.ts';
import { systemExec } from '../../../lib/process.ts';

export interface FleetSettings {
  readonly servers: readonly string[];
  readonly joinPort: number;
  readonly token: string;
  readonly dataDir: string;
}

export interface HollowNode {
  readonly name: string;
  readonly ip: string;
}

export interface FleetCommand {
  readonly settings?: FleetSettings;
  readonly start?: readonly HollowNode[];
  readonly stop?: readonly string[];
}

export interface FleetReport {
  readonly connected: number;
  readonly pods: number;
  /** Of any agent: how long ago the newest acknowledged heartbeat was sent. */
  readonly longestSilenceMs: number;
  readonly failure?: string;
}

const program = fileURLToPath(new URL('process.ts', import.meta.url));

export class Fleet {
  readonly #children: { readonly process: ChildProcess; report: FleetReport }[];
  readonly #nodes: { readonly node: HollowNode; readonly child: number }[] = [];

  constructor(settings: FleetSettings, processes: number) {
    this.#children = Array.from({ length: processes }, () => {
      const stdio: ('ignore' | 'inherit' | 'ipc')[] = ['ignore', 'ignore', 'inherit', 'ipc'];
      const child = {
        process: systemExec().start([process.execPath, '--max-old-space-size=6144', program], { stdio }),
        report: { connected: 0, pods: 0, longestSilenceMs: 0 } as FleetReport,
      };
      child.process.on('message', (report) => {
        child.report = report as FleetReport;
      });
      child.process.send({ settings } satisfies FleetCommand);
      return child;
    });
  }

  get size(): number {
    return this.#nodes.length;
  }

  get pids(): number[] {
    return this.#children.map(({ process }) => process.pid!);
  }

  get connected(): number {
    return this.#sum('connected');
  }

  get pods(): number {
    return this.#sum('pods');
  }

  get longestSilenceMs(): number {
    return Math.max(...this.#children.map(({ report }) => report.longestSilenceMs));
  }

  /** Begins to join so many more nodes. */
  grow(count: number): void {
    const shares: HollowNode[][] = this.#children.map(() => []);
    for (let i = 0; i < count; i += 1) {
      const index = this.#nodes.length;
      const node = { name: `hollow-${index}`, ip: `172.24.${index >> 8}.${index & 255}` };
      const child = index % this.#children.length;
      this.#nodes.push({ node, child });
      shares[child]!.push(node);
    }
    shares.forEach((start, child) => void this.#children[child]!.process.send({ start } satisfies FleetCommand));
  }

  /** As if their plugs were pulled; returns their names. */
  kill(count: number): string[] {
    const victims = this.#nodes.splice(this.#nodes.length - count);
    for (const { node, child } of victims) {
      this.#children[child]!.process.send({ stop: [node.name] } satisfies FleetCommand);
    }
    return victims.map(({ node }) => node.name);
  }

  /** Throws what went wrong in a child, which nobody would learn otherwise. */
  check(): void {
    for (const { process, report } of this.#children) {
      if (report.failure !== undefined) throw new Error(`hollow agents: ${report.failure}`);
      if (process.exitCode !== null) throw new Error(`a process of hollow agents has ended with ${process.exitCode}`);
    }
  }

  async end(): Promise<void> {
    for (const { process } of this.#children) {
      if (process.exitCode === null && process.signalCode === null) {
        const ended = new Promise((resolve) => process.once('exit', resolve));
        process.kill('SIGKILL');
        await Promise.race([ended, systemClock.sleep(5000)]);
      }
    }
  }

  #sum(field: 'connected' | 'pods'): number {
    return this.#children.reduce((sum, { report }) => sum + report[field], 0);
  }
}
