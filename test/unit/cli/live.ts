/** ctl on a cluster that lives: the real API, scheduler and controllers, with fake agents and virtual time. */
import { plainCodec } from '../../../control-plane/state/object-codec.ts';
import { type Cluster, startCluster } from '../control-plane/controllers/cluster.ts';
import { type Cli, createCli, type Result, type Running } from './harness.ts';

export interface LiveCli {
  readonly cluster: Cluster;
  readonly cli: Cli;
  /** A command line, to its end. */
  run(line: string, limitMs?: number): Promise<Result>;
  /** Lets virtual time pass until the command has ended. */
  ended(running: Running, limitMs?: number): Promise<Result>;
}

/** Before a test that uses these commands: modules load in real time, while the virtual clock would run away. */
export async function loadCommands(names: string): Promise<void> {
  await (await createCli()).run(`help ${names}`);
}

export async function startLive(nodes: number): Promise<LiveCli> {
  const cluster = await startCluster({ nodes });
  const cli = await createCli({ store: cluster.store, codec: plainCodec, clock: cluster.clock });
  const ended = async (running: Running, limitMs = 120_000): Promise<Result> => {
    let result: Result | undefined;
    void running.then((value) => {
      result = value;
    });
    await cluster.clock.until(() => result !== undefined, limitMs, 'the command to end');
    return result!;
  };
  return { cluster, cli, ended, run: (line, limitMs) => ended(cli.run(line), limitMs) };
}
