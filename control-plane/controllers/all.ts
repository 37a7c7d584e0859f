/** Every controller of the leader. */
import { deploymentController } from './deployment/controller.ts';
import { endpointSliceController } from './endpoint-slice/controller.ts';
import { eventController } from './events/controller.ts';
import { garbageController } from './garbage/controller.ts';
import { namespaceController } from './namespace/controller.ts';
import { nodeLifecycleController } from './node-lifecycle/controller.ts';
import { replicaSetController } from './replica-set/controller.ts';
import type { ReplicaSetOptions } from './replica-set/reconcile.ts';
import { type Controller, type RunParts, runController } from './run-controller.ts';

export function allControllers(options: ReplicaSetOptions): readonly Controller[] {
  return [
    nodeLifecycleController,
    deploymentController,
    replicaSetController(options),
    endpointSliceController,
    namespaceController,
    garbageController,
    eventController,
  ];
}

/** Resolves when the term is over and every controller has come to rest. */
export async function runControllers(parts: RunParts, options: ReplicaSetOptions): Promise<void> {
  await Promise.all(allControllers(options).map((controller) => runController(controller, parts)));
}
