/** `ctl expose`: a service in front of the pods of a Deployment, ReplicaSet, Pod or other Service. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import { podSelectorOf, podTemplateOf } from '../../lib/model/workloads.ts';
import type { Container, KubeObject, Service, ServicePort, ServiceSpec } from '../../proto/gen/types.ts';
import { type Context, type OpenContext, optionsOf } from '../context.ts';
import { createOne, type PrintOptions } from '../dry-run.ts';
import { parseLabels, parsePort } from '../flags.ts';
import { objectOf, selectReferences } from '../selection.ts';

export interface ExposeOptions extends PrintOptions {
  readonly port?: string;
  readonly targetPort?: string;
  readonly protocol?: string;
  readonly type?: string;
  readonly name?: string;
  readonly selector?: string;
  readonly labels?: string;
  readonly clusterIp?: string;
}

export function registerExpose(program: Command, open: OpenContext): void {
  program
    .command('expose <resource> [names...]')
    .usage('deploy/NAME --port=PORT [--target-port=PORT]')
    .option('--port <port>', "the service's port (default: the containers')")
    .option('--target-port <port>', "the containers' port, as a number or name (default: --port)")
    .option('--protocol <protocol>', 'TCP, UDP or SCTP', 'TCP')
    .option('--type <type>', 'ClusterIP or NodePort')
    .option('--name <name>', "the service's name (default: that of what is exposed)")
    .option('--selector <labels>', 'the pods behind it (default: those of what is exposed)')
    .option('-l, --labels <labels>', "the service's labels")
    .option('--cluster-ip <address>', 'an address of its own choice, or None for a headless service')
    .option('--dry-run <mode>', 'client or server: all but the write')
    .option('-o, --output <format>', 'json, yaml or name')
    .action(async (resource: string, names: string[], _options, command: Command) => {
      const options = optionsOf<ExposeOptions>(command);
      await expose(await open(options), [resource, ...names], options);
    });
}

export async function expose(context: Context, words: readonly string[], options: ExposeOptions): Promise<void> {
  const [reference, ...more] = await selectReferences(context, words, {});
  if (!reference || more.length > 0) throw new GantryError('invalidArgument', 'name one resource: deploy/NAME');
  const object = await objectOf(context, reference);
  await createOne(context, serviceFor(object, options), 'exposed', options);
}

/** Pure. */
export function serviceFor(object: KubeObject, options: ExposeOptions): Service {
  const { name, namespace = 'default', labels } = object.metadata;
  const spec: ServiceSpec = {
    selector: options.selector === undefined ? selectorOf(object) : parseLabels(options.selector),
    ports: portsOf(object, options),
    ...(options.type !== undefined && { type: options.type as NonNullable<ServiceSpec['type']> }),
    ...(options.clusterIp !== undefined && { clusterIP: options.clusterIp }),
  };
  const own = options.labels === undefined ? labels : parseLabels(options.labels);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: options.name ?? name, namespace, ...(own && { labels: own }) },
    spec,
  };
}

function selectorOf(object: KubeObject): Record<string, string> {
  const { kind, metadata } = object;
  let selector: Record<string, string> | undefined;
  const pods = podSelectorOf(object);
  if (pods) {
    if ((pods.matchExpressions ?? []).length > 0) {
      const cure = 'say which labels with --selector';
      throw new GantryError('invalidArgument', `the selector of ${kind} ${metadata.name} has expressions; ${cure}`);
    }
    selector = pods.matchLabels;
  } else if (object.kind === 'Pod') selector = metadata.labels;
  else throw new GantryError('invalidArgument', `cannot expose a ${kind}; name a workload, a pod or a service`);
  if (selector && Object.keys(selector).length > 0) return selector;
  throw new GantryError(
    'invalidArgument',
    `${kind} ${metadata.name} has no labels to select its pods by; use --selector`,
  );
}

function portsOf(object: KubeObject, { port, targetPort, protocol = 'TCP' }: ExposeOptions): ServicePort[] {
  const asProtocol = protocol.toUpperCase() as NonNullable<ServicePort['protocol']>;
  if (port !== undefined) {
    const number = parsePort(port, '--port');
    return [{ port: number, protocol: asProtocol, targetPort: targetPort ?? String(number) }];
  }
  if (object.kind === 'Service') return (object.spec.ports ?? []).map(({ nodePort: _own, ...rest }) => rest);
  const found = containersOf(object).flatMap(({ ports = [] }) => ports);
  if (found.length === 0) {
    throw new GantryError('invalidArgument', 'the containers name no port: say which with --port');
  }
  return found.map(({ name, containerPort, protocol: own = 'TCP' }, index) => ({
    ...(found.length > 1 && { name: name ?? `port-${index + 1}` }),
    port: containerPort,
    protocol: own,
    targetPort: targetPort ?? String(containerPort),
  }));
}

function containersOf(object: KubeObject): readonly Container[] {
  if (object.kind === 'Pod') return object.spec.containers;
  return podTemplateOf(object)?.spec.containers ?? [];
}
