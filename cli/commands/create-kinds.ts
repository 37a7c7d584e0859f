/** `ctl create namespace | deployment | job | configmap | secret generic | service`: objects from flags. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';
import type { ConfigMap, Deployment, KubeObject, Namespace, Secret, Service } from '../../proto/gen/types.ts';
import { collect } from '../arguments.ts';
import { type OpenContext, optionsOf } from '../context.ts';
import { createOne, type PrintOptions } from '../dry-run.ts';
import { type DataOptions, parsePort, readData } from '../flags.ts';
import { registerCreateJobs } from './create-job.ts';
import { registerCreateQuota } from './create-quota.ts';

/** -o and --dry-run are options of `create` itself. */
export function registerCreateKinds(create: Command, open: OpenContext): void {
  const add = <O extends PrintOptions>(
    parent: Command,
    usage: string,
    build: (name: string, namespace: string, options: O, words: readonly string[]) => KubeObject,
  ): Command =>
    parent.command(usage).action(async (name: string, ...rest: unknown[]) => {
      const command = rest.at(-1) as Command;
      const options = optionsOf<O>(command);
      const context = await open(options);
      const words = Array.isArray(rest[0]) ? (rest[0] as string[]) : [];
      await createOne(context, build(name, context.namespace, options, words), 'created', options);
    });
  const withData = (command: Command): Command =>
    command
      .option('--from-literal <key=value>', 'a value (again for more)', collect)
      .option('--from-file <file>', 'a file, KEY=FILE, or a folder (again for more)', collect)
      .option('--from-env-file <file>', 'a file of lines KEY=VALUE (again for more)', collect);

  add(create, 'namespace <name>', namespaceOf).alias('ns').description('a namespace');
  add(create, 'deployment <name> [command...]', deploymentOf)
    .alias('deploy')
    .description('a deployment of one image; what follows -- is its command')
    .requiredOption('--image <image>', 'the image (again for more containers)', collect)
    .option('-r, --replicas <count>', 'how many pods', '1')
    .option('--port <port>', 'a port that the container serves on');
  registerCreateJobs(create, open);
  registerCreateQuota(create, open);
  withData(
    add<PrintOptions & DataOptions>(create, 'configmap <name>', configMapOf)
      .alias('cm')
      .description('a config map of files and values'),
  );
  const secret = create.command('secret').description('a secret');
  withData(
    add<PrintOptions & SecretOptions>(secret, 'generic <name>', secretOf).description('of files and values'),
  ).option('--type <type>', "the secret's type");
  const service = create.command('service').alias('svc').description('a service');
  for (const [word, type] of [
    ['clusterip', 'ClusterIP'],
    ['nodeport', 'NodePort'],
  ] as const) {
    add<ServiceOptions>(service, `${word} <name>`, (name, namespace, options) =>
      serviceOf(name, namespace, type, options),
    )
      .description(`of type ${type}, for the pods labelled app=NAME`)
      .option('--tcp <port:targetPort>', 'a port, and the one of the pods (again for more)', collect);
  }
}

export function namespaceOf(name: string): Namespace {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

interface DeploymentOptions extends PrintOptions {
  readonly image: string[];
  readonly replicas?: string;
  readonly port?: string;
}

export function deploymentOf(
  name: string,
  namespace: string,
  { image, replicas = '1', port }: DeploymentOptions,
  command: readonly string[],
): Deployment {
  const count = Number(replicas);
  if (!Number.isInteger(count) || count < 0) {
    throw new GantryError('invalidArgument', `--replicas=${replicas}: give a whole number, 0 or more`);
  }
  const containers = image.map((one) => ({
    name: containerName(one),
    image: one,
    ...(command.length > 0 && image.length === 1 && { command: [...command] }),
    ...(port !== undefined && { ports: [{ containerPort: parsePort(port, '--port') }] }),
  }));
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels },
    spec: {
      replicas: count,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  };
}

/** `registry:5000/team/web:1` is `web`. */
function containerName(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1);
  return last
    .replace(/[@:].*$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-');
}

export function configMapOf(name: string, namespace: string, options: DataOptions): ConfigMap {
  const data: Record<string, string> = {};
  const binaryData: Record<string, string> = {};
  for (const [key, bytes] of readData(options)) {
    const text = bytes.toString('utf8');
    if (Buffer.from(text).equals(bytes)) data[key] = text;
    else binaryData[key] = bytes.toString('base64');
  }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace },
    ...(Object.keys(data).length > 0 && { data }),
    ...(Object.keys(binaryData).length > 0 && {
      binaryData: binaryData as unknown as NonNullable<ConfigMap['binaryData']>,
    }),
  };
}

interface SecretOptions extends DataOptions {
  readonly type?: string;
}

export function secretOf(name: string, namespace: string, options: SecretOptions): Secret {
  const entries = [...readData(options)].map(([key, bytes]) => [key, bytes.toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    ...(entries.length > 0 && { data: Object.fromEntries(entries) as NonNullable<Secret['data']> }),
    type: options.type ?? 'Opaque',
  };
}

interface ServiceOptions extends PrintOptions {
  readonly tcp?: string[];
}

export function serviceOf(
  name: string,
  namespace: string,
  type: 'ClusterIP' | 'NodePort',
  { tcp = [] }: ServiceOptions,
): Service {
  if (tcp.length === 0) throw new GantryError('invalidArgument', 'at least one port must be given with --tcp');
  const ports = tcp.map((text) => {
    const [port = '', targetPort = port] = text.split(':');
    const name_ = text.replace(':', '-');
    return { name: name_, port: parsePort(port, '--tcp'), protocol: 'TCP' as const, targetPort };
  });
  const metadata = { name, namespace, labels: { app: name } };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { type, selector: { app: name }, ports } };
}
