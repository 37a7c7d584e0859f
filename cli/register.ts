/**
 * All commands of ctl. Only the modules of commands whose names stand on the command line are loaded: the others are
 * there by name, for the help and for "did you mean".
 */
import type { Command } from 'commander';
import type { OpenContext } from './context.ts';

type Register = (program: Command, open: OpenContext) => void;

interface Entry {
  readonly name: string;
  readonly description: string;
  load(): Promise<Register>;
}

const entries: readonly Entry[] = [
  {
    name: 'get',
    description: 'show resources: pods, deploy/web, svc,deploy, all, ...',
    load: async () => (await import('./commands/get.ts')).registerGet,
  },
  {
    name: 'describe',
    description: 'show one resource in full, with its events',
    load: async () => (await import('./commands/describe.ts')).registerDescribe,
  },
  {
    name: 'apply',
    description: 'make the cluster look like the manifests',
    load: async () => (await import('./commands/apply.ts')).registerApply,
  },
  {
    name: 'create',
    description: 'create objects of manifests, or a namespace, deployment, job, cronjob, configmap, secret, service',
    load: async () => (await import('./commands/create.ts')).registerCreate,
  },
  {
    name: 'delete',
    description: 'delete resources by manifest, name or label, and wait until they are gone',
    load: async () => (await import('./commands/delete.ts')).registerDelete,
  },
  {
    name: 'run',
    description: 'run an image as a pod',
    load: async () => (await import('./commands/run.ts')).registerRun,
  },
  {
    name: 'expose',
    description: 'put a service in front of pods',
    load: async () => (await import('./commands/expose.ts')).registerExpose,
  },
  {
    name: 'scale',
    description: 'set how many replicas there should be',
    load: async () => (await import('./commands/scale.ts')).registerScale,
  },
  {
    name: 'autoscale',
    description: 'let the use of cpu or memory set how many replicas there are',
    load: async () => (await import('./commands/autoscale.ts')).registerAutoscale,
  },
  {
    name: 'top',
    description: 'show what pods and nodes use',
    load: async () => (await import('./commands/top.ts')).registerTop,
  },
  {
    name: 'set',
    description: 'change the images or variables of a workload',
    load: async () => (await import('./commands/set.ts')).registerSet,
  },
  {
    name: 'rollout',
    description: 'follow, restart, undo, pause or resume a rollout',
    load: async () => (await import('./commands/rollout.ts')).registerRollout,
  },
  {
    name: 'logs',
    description: 'print what the containers of a pod printed',
    load: async () => (await import('./commands/logs.ts')).registerLogs,
  },
  {
    name: 'exec',
    description: 'run a command in a container',
    load: async () => (await import('./commands/exec.ts')).registerExec,
  },
  {
    name: 'events',
    description: 'show what happened',
    load: async () => (await import('./commands/events.ts')).registerEvents,
  },
  {
    name: 'wait',
    description: 'wait until a condition holds or a resource is gone',
    load: async () => (await import('./commands/wait.ts')).registerWait,
  },
  {
    name: 'dns',
    description: "ask the cluster's DNS, and see where the answer comes from",
    load: async () => (await import('./commands/dns.ts')).registerDns,
  },
  {
    name: 'label',
    description: 'set and remove labels',
    load: async () => (await import('./commands/label.ts')).registerLabel,
  },
  {
    name: 'annotate',
    description: 'set and remove annotations',
    load: async () => (await import('./commands/label.ts')).registerAnnotate,
  },
  {
    name: 'patch',
    description: 'change fields of a resource',
    load: async () => (await import('./commands/patch.ts')).registerPatch,
  },
  {
    name: 'cordon',
    description: 'put no new pods on a node',
    load: async () => (await import('./commands/cordon.ts')).registerCordon,
  },
  {
    name: 'uncordon',
    description: 'put new pods on a node again',
    load: async () => (await import('./commands/cordon.ts')).registerUncordon,
  },
  {
    name: 'drain',
    description: 'cordon a node and move its pods away',
    load: async () => (await import('./commands/drain.ts')).registerDrain,
  },
  {
    name: 'explain-pending',
    description: 'show why a pod is on no node: what each node says to it',
    load: async () => (await import('./commands/explain-pending.ts')).registerExplainPending,
  },
  {
    name: 'simulate',
    description: 'show what would move where if a node died or a manifest were applied, changing nothing',
    load: async () => (await import('./commands/simulate.ts')).registerSimulate,
  },
  {
    name: 'taint',
    description: 'set and remove taints of nodes',
    load: async () => (await import('./commands/taint.ts')).registerTaint,
  },
  {
    name: 'node',
    description: 'declare a lost node out of service, or back in service',
    load: async () => (await import('./commands/node.ts')).registerNode,
  },
  {
    name: 'control-plane',
    description: 'list the replicas of the control plane, take one away for good',
    load: async () => (await import('./commands/control-plane.ts')).registerControlPlane,
  },
  {
    name: 'token',
    description: 'join tokens: with one, a machine becomes a node or a control plane',
    load: async () => (await import('./commands/token.ts')).registerToken,
  },
  {
    name: 'explain',
    description: 'show the fields of a resource and what they mean',
    load: async () => (await import('./commands/explain.ts')).registerExplain,
  },
  {
    name: 'api-resources',
    description: 'list the kinds of resources',
    load: async () => (await import('./commands/api-resources.ts')).registerApiResources,
  },
  {
    name: 'cluster-info',
    description: 'show where the control plane is and who leads',
    load: async () => (await import('./commands/cluster-info.ts')).registerClusterInfo,
  },
  {
    name: 'version',
    description: 'show the versions of ctl and of the control plane',
    load: async () => (await import('./commands/version.ts')).registerVersion,
  },
  {
    name: 'lab',
    description: 'a cluster of machines on this host, to try and to break',
    load: async () => (await import('./commands/lab.ts')).registerLab,
  },
];

/** `words` is what stands on the command line, in any order. */
export async function registerCommands(program: Command, open: OpenContext, words: readonly string[]): Promise<void> {
  const called = new Set(words);
  for (const { name, description, load } of entries) {
    if (called.has(name)) (await load())(program, open);
    const command = program.commands.find((registered) => registered.name() === name) ?? program.command(name);
    command.description(description);
  }
  const absent = words.find((word) => !word.startsWith('-'));
  if (absent === undefined || program.commands.some((command) => command.name() === absent)) return;
  const { registerUnsupported, unsupportedNames } = await import('./commands/unsupported.ts');
  if (unsupportedNames.includes(absent)) registerUnsupported(absent)(program);
}
