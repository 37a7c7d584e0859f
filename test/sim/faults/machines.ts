/** Faults of machines and of what agents do on them; machines that come and go. */
import { GantryError } from '../../../lib/errors.ts';
import type { PullFailure } from '../../../node-agent/images/images.ts';
import type { FakeOperation } from '../../../node-agent/runtime/fake.ts';
import { images } from '../images.ts';
import { type Menu, present } from './fault.ts';

const runtimeOperations: readonly FakeOperation[] = [
  'createSandbox',
  'removeSandbox',
  'createContainer',
  'startContainer',
  'signalContainer',
  'removeContainer',
  'exec',
  'list',
];
const pullFailures: readonly PullFailure[] = ['ErrImagePull', 'ImageNotFound', 'RegistryUnavailable', 'NoSpace'];

const injected = (): GantryError => new GantryError('internal', 'injected by the simulation');

const mostNodes = 7;
/** The workloads must still fit. */
const fewestNodes = 3;

export const machineFaults = {
  powerCycle(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    node.powerOff();
    world.after(world.between(500, 20_000), () => {
      if (!node.left) cluster.administrator.powerOn(node);
    });
  },
  /** It stays dark until somebody has said that it is. */
  machineBreaks(cluster) {
    const { world, administrator } = cluster;
    void administrator.replaceMachine(world.pick(present(cluster)), world.between(5_000, 25_000));
  },
  spawnFails(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const operation = world.pick(runtimeOperations);
    world.trace(node.name, `${operation} will fail`);
    for (let count = world.between(1, 4); count > 0; count -= 1) node.host.failNext(operation, injected());
  },
  hostFails(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const dice = world.random.next();
    world.trace(node.name, `something of the host will fail (${dice.toFixed(2)})`);
    if (dice < 0.25) node.network.failNext('attach', injected());
    else if (dice < 0.5) node.network.failNext('detach', injected());
    else node.files.failNext(world.pick(['saveRecord', 'prepareVolumes', 'prepareContainer', 'removePod']), injected());
  },
  sliceDamaged(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    node.killAgent();
    node.damageSlice(world.chance(0.5));
    world.after(world.between(100, 5_000), () => node.startAgent());
  },
  pullsFail({ world, registry }) {
    const image = world.pick(images);
    const failure = world.pick(pullFailures);
    world.trace('registry', `${image}: ${failure}`);
    registry.fail(image, failure);
    world.after(world.between(500, 8_000), () => registry.fail(image, undefined));
  },
  registryAway({ world, registry }) {
    world.trace('registry', 'is away');
    registry.setAvailable(false);
    world.after(world.between(500, 8_000), () => registry.setAvailable(true));
  },
  containerExits(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const running = [...node.host.containers.values()].filter(
      ({ status, config }) => status.state === 'running' && config.attempt < 2,
    );
    if (running.length === 0) return;
    const { config } = world.pick(running);
    world.trace(node.name, `container ${config.id} exits`);
    node.host.exit(config.id, world.pick([0, 1, 137]));
  },
  sandboxDies(cluster) {
    const { world } = cluster;
    const node = world.pick(present(cluster));
    const alive = [...node.host.sandboxes.values()].filter(({ status }) => status.alive);
    if (alive.length === 0) return;
    const uid = world.pick(alive).config.podUid;
    world.trace(node.name, `sandbox ${uid} dies`);
    node.host.killSandbox(uid);
  },
  nodeJoins(cluster) {
    if (cluster.nodes.length < mostNodes) cluster.addNode().startAgent();
  },
  nodeExpelled(cluster) {
    const { world, administrator } = cluster;
    if (present(cluster).length <= fewestNodes) return;
    void administrator.expelNode(
      world.pick(present(cluster)),
      world.chance(0.5) ? world.between(100, 20_000) : undefined,
    );
  },
  nodeLeaves(cluster) {
    if (present(cluster).length <= fewestNodes) return;
    cluster.administrator.removeNode(cluster.world.pick(present(cluster)));
  },
} satisfies Menu;
