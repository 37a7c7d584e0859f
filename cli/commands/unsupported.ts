/** kubectl's commands that Gantry does not have, each with the reason or with what to do instead. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';

const byHand = 'write it out with `ctl get TYPE NAME -o yaml > FILE`, change the file, then `ctl apply -f FILE`';
const roles = 'who you are stands in your certificate, and there are three roles: admin, editor and viewer';
const template = 'change the pod template in its manifest, then `ctl apply -f FILE`; or `ctl patch TYPE NAME -p PATCH`';

const cures: Readonly<Record<string, string>> = {
  edit: byHand,
  replace: 'use `ctl apply -f FILE`',
  diff: 'use `ctl apply -f FILE --dry-run=server -o yaml` and compare it with `ctl get -f FILE -o yaml`',
  attach: 'use `ctl logs -f POD` for its output, `ctl exec -it POD -- sh` for a shell',
  cp: 'use `ctl exec`: `ctl exec POD -- cat FILE > FILE`, or `ctl exec -i POD -- sh -c "cat > FILE" < FILE`',
  'port-forward': 'expose the pods as a service of type NodePort: `ctl expose deploy/NAME --type=NodePort --port=PORT`',
  proxy: 'services call the API over gRPC, see examples/',
  debug: 'use `ctl exec -it POD -- sh`',
  config: 'name the file with --config or $GANTRY_CONFIG',
  auth: roles,
  certificate: 'certificates are made by the cluster itself; machines join with a token of `ctl token create`',
  kustomize: 'use kustomize itself: `kustomize build DIR | ctl apply -f -`',
  'api-versions': 'each kind has one version; `ctl api-resources` shows them',
  completion: 'there is none for shells; `ctl --help` and `ctl COMMAND --help` list what there is',
  plugin: 'ctl has no plugins',
  options: 'every `ctl COMMAND --help` lists those of all commands, too',
  'rolling-update': 'use `ctl set image`, or `ctl apply -f FILE`, and follow it with `ctl rollout status`',
  convert: 'each kind has one version',

  'set resources': template,
  'set selector': byHand,
  'set serviceaccount': 'pods have no accounts: what runs in them is given no access to the API',
  'set subject': roles,
  'apply view-last-applied':
    'which fields were applied is kept, not their values: `ctl get TYPE NAME -o yaml` shows the object',
  'apply set-last-applied': 'use `ctl apply -f FILE`: which fields each manager applied is kept with the object',
  'apply edit-last-applied': byHand,
  'create role': roles,
  'create clusterrole': roles,
  'create rolebinding': roles,
  'create clusterrolebinding': roles,
  'create serviceaccount': 'pods have no accounts: what runs in them is given no access to the API',
  'create token': 'for machines that join there is `ctl token create`',
  'create ingress': 'there is none; a service of type NodePort can be reached from outside',
  'create priorityclass': 'write a manifest of kind PriorityClass, then `ctl apply -f FILE`',
  'create poddisruptionbudget': 'write a manifest of kind PodDisruptionBudget, then `ctl apply -f FILE`',
  'create pdb': 'write a manifest of kind PodDisruptionBudget, then `ctl apply -f FILE`',
  'cluster-info dump': 'use `ctl get all -A -o yaml`, `ctl events -A` and `ctl logs`',
};

export const unsupportedNames: readonly string[] = Object.keys(cures).filter((name) => !name.includes(' '));

/** Undefined when it is no command of kubectl's. `name`: `edit`, `set env`. */
export function unsupportedCommand(name: string): GantryError | undefined {
  const cure = cures[name];
  return cure === undefined ? undefined : notSupported(`ctl ${name}`, cure);
}

export function notSupported(what: string, cure: string): GantryError {
  return new GantryError('unimplemented', `not supported: ${what}; ${cure}`);
}

export function registerUnsupported(name: string): (program: Command) => void {
  return (program) => {
    program
      .command(`${name} [words...]`, { hidden: true })
      .allowUnknownOption()
      .action(() => {
        throw unsupportedCommand(name);
      });
  };
}
