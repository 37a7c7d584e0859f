/** kubectl's flags that Gantry does not have, each with the reason or with what to do instead. Looked up after a refusal. */
import type { GantryError } from '../../lib/errors.ts';
import { notSupported } from './unsupported.ts';

type Cures = Readonly<Record<string, string>>;

const kustomize = 'use kustomize itself: `kustomize build DIR | ctl apply -f -`';
const oneFile = 'a file holds one cluster and one user; name another one with --config or $GANTRY_CONFIG';
const whoYouAre = 'who you are stands in the file of --config or $GANTRY_CONFIG';
const certificates = 'the certificates stand in the file of --config or $GANTRY_CONFIG, and are always checked';
const noTemplate = 'use -o jsonpath=... or -o json';
const changeCause = 'annotate it: `ctl annotate TYPE/NAME kubernetes.io/change-cause=...`';
const pages = 'lists come as a whole';
const checked = 'manifests are always checked, field by field';
const replaced = 'objects are never deleted to be made anew; `ctl delete -f FILE`, then `ctl apply -f FILE`';
const overrides = 'write a manifest (-o yaml --dry-run=client writes one), then `ctl apply -f FILE`';
const alwaysCompared = 'name the object; a change that another one crosses is made again on what that left';

/** Of all commands. */
const general: Cures = {
  '--context': oneFile,
  '--cluster': oneFile,
  '--kubeconfig': oneFile,
  '--server': oneFile,
  '-s': oneFile,
  '--user': whoYouAre,
  '--username': whoYouAre,
  '--password': whoYouAre,
  '--token': whoYouAre,
  '--as': whoYouAre,
  '--as-group': whoYouAre,
  '--as-uid': whoYouAre,
  '--certificate-authority': certificates,
  '--client-certificate': certificates,
  '--client-key': certificates,
  '--insecure-skip-tls-verify': certificates,
  '--tls-server-name': certificates,
  '--request-timeout': 'ctl gives a call up by itself when no answer comes; `ctl wait` and --wait have --timeout',
  '--cache-dir': 'ctl keeps nothing on disk',
  '--match-server-version': 'programs one version apart understand one another; `ctl version` shows both',
  '--warnings-as-errors': 'warnings go to standard error, each on a line that begins with "Warning:"',
  '--v': 'errors say all that is known',
  '-v': 'errors say all that is known',
  '--kustomize': kustomize,
  '-k': kustomize,
  '--template': noTemplate,
  '--allow-missing-template-keys': noTemplate,
  '--show-managed-fields': 'the names of the fields that each manager applied stand in annotations: -o yaml',
  '--save-config': 'which fields were applied is kept with the object by itself',
  '--record': changeCause,
  '--chunk-size': pages,
  '--validate': checked,
  '--local': 'use --dry-run=client or --dry-run=server with -o yaml where there is one, or edit the file',
  '--resource-version': alwaysCompared,
  '--subresource': "a status is its controller's to write; scale with `ctl scale`",
  '--field-manager': 'only `ctl apply` has managers',
  '--override-type': overrides,
  '--overrides': overrides,
};

const byCommand: Readonly<Record<string, Cures>> = {
  get: {
    '--raw': 'the API is gRPC: use grpcurl, which finds its services by reflection, or -o json',
    '--server-print': 'columns are made by ctl; -o json has everything',
    '--output-watch-events':
      'a line appears for every change, the last one when the object is gone; -o json --watch has the objects',
    '--show-kind': 'use -o name, or name several types',
  },
  apply: {
    '--force': replaced,
    '--prune': 'delete what is no longer wanted by its label: `ctl delete TYPE -l LABEL`',
    '--prune-allowlist': 'delete what is no longer wanted by its label: `ctl delete TYPE -l LABEL`',
    '--all': 'it belongs to --prune, which is not supported either',
    '--selector': 'all of the file is applied; keep what belongs together in one file',
    '-l': 'all of the file is applied; keep what belongs together in one file',
    '--overwrite': 'what the manifest says counts, save fields of other managers (--force-conflicts)',
    '--openapi-patch': 'what is merged how is the same for all kinds',
    '--cascade': replaced,
    '--grace-period': replaced,
    '--timeout': 'follow it with `ctl rollout status` or `ctl wait --timeout`',
    '--wait': 'follow it with `ctl rollout status` or `ctl wait`',
  },
  create: {
    '--edit': 'write the manifest with -o yaml --dry-run=client, change it, then `ctl create -f FILE`',
    '--raw': 'the API is gRPC: use grpcurl, which finds its services by reflection',
    '--windows-line-endings': 'line ends are \\n',
    '--selector': 'all of the file is created; keep what belongs together in one file',
    '-l': 'all of the file is created; keep what belongs together in one file',
  },
  delete: {
    '--raw': 'the API is gRPC: use grpcurl, which finds its services by reflection',
    '--interactive': 'see first what would go: --dry-run=server',
    '-i': 'see first what would go: --dry-run=server',
  },
  logs: {
    '--limit-bytes': 'use --tail, or `| head -c BYTES`',
    '--max-log-requests': 'as many as there are pods',
    '--ignore-errors': 'what one pod answers keeps no other from being shown',
    '--insecure-skip-tls-verify-backend': certificates,
    '--pod-running-timeout': 'wait first: `ctl wait --for=condition=Ready pod/NAME`',
    '--all-pods': 'select them by label: -l LABEL',
  },
  exec: {
    '--filename': 'name the pod or its workload: deploy/NAME',
    '-f': 'name the pod or its workload: deploy/NAME',
    '--pod-running-timeout': 'wait first: `ctl wait --for=condition=Ready pod/NAME`',
  },
  run: {
    '--attach': 'use `ctl logs -f NAME`',
    '--expose': 'afterwards: `ctl expose pod NAME --port=PORT`',
    '--annotations': overrides,
    '--privileged': overrides,
    '--pod-running-timeout': 'wait first: `ctl wait --for=condition=Ready pod/NAME`',
    '--filename': 'use `ctl apply -f FILE`',
    '-f': 'use `ctl apply -f FILE`',
  },
  expose: {
    '--external-ip': 'services have addresses inside the cluster, and node ports: --type=NodePort',
    '--load-balancer-ip': 'there are no load balancers; use --type=NodePort',
    '--session-affinity': overrides,
    '--filename': 'name what is exposed: deploy/NAME',
    '-f': 'name what is exposed: deploy/NAME',
  },
  set: {
    '--resolve': 'the values of ConfigMaps and Secrets: `ctl get cm NAME -o yaml`',
    '--output': 'look afterwards: `ctl get TYPE NAME -o yaml`',
    '-o': 'look afterwards: `ctl get TYPE NAME -o yaml`',
  },
  simulate: {
    '--filename': 'what would be applied is named with --apply FILE',
    '-f': 'what would be applied is named with --apply FILE',
  },
  scale: {
    '--timeout': 'follow it with `ctl rollout status` or `ctl wait`',
    '--output': 'look afterwards: `ctl get TYPE NAME -o yaml`',
    '-o': 'look afterwards: `ctl get TYPE NAME -o yaml`',
    '--dry-run': 'see what would fit with `ctl simulate --apply FILE`',
  },
  rollout: {
    '--filename': 'name the workload: deploy/NAME',
    '-f': 'name the workload: deploy/NAME',
    '--selector': 'name the workloads: deploy/A deploy/B',
    '-l': 'name the workloads: deploy/A deploy/B',
    '--output': 'the revisions are objects: `ctl get replicasets -o yaml`, `ctl get controllerrevisions -o yaml`',
    '-o': 'the revisions are objects: `ctl get replicasets -o yaml`, `ctl get controllerrevisions -o yaml`',
  },
  drain: {
    '--disable-eviction': 'budgets are kept; a lost node is declared with `ctl node out-of-service NODE`',
    '--skip-wait-for-delete-timeout': 'what a node that is lost cannot end: `ctl node out-of-service NODE`',
    '--delete-local-data': 'use --delete-emptydir-data',
  },
  top: {
    '--sort-by': 'use `| sort -k2`',
    '--field-selector': 'select by label: -l LABEL',
    '--use-protocol-buffers': 'everything is',
  },
  explain: {
    '--api-version': 'each kind has one version',
    '--output': 'there is one form',
    '-o': 'there is one form',
  },
  version: { '--short': 'it is short' },
  'api-resources': {
    '--api-group': 'use `| grep GROUP`',
    '--verbs': 'all kinds know the same ones',
    '--cached': 'ctl keeps nothing on disk',
    '--sort-by': 'use `| sort`',
  },
};

/** Undefined when kubectl does not have it either. `command`: words of it, such as `rollout`, `status`. */
export function unsupportedFlag(command: readonly string[], flag: string): GantryError | undefined {
  const [name = ''] = command;
  const cure = byCommand[name]?.[flag] ?? general[flag];
  return cure === undefined ? undefined : notSupported(['ctl', ...command, flag].join(' '), cure);
}
