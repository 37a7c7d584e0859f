import { describe, expect, it } from 'vitest';
import { defaultPidsLimit, renderSpec, type SpecInput } from '../../../../node-agent/runtime/oci-spec.ts';
import { containerConfig, sandboxConfig } from './configs.ts';

function input(parts: Partial<SpecInput> = {}): SpecInput {
  return {
    container: containerConfig(),
    sandbox: sandboxConfig(),
    sandboxPid: 77,
    rootfsPath: '/store/merged',
    user: { uid: 0, gid: 0, additionalGids: [] },
    cgroupsPath: '/gantry/podp/c',
    capabilities: ['CAP_CHOWN'],
    ...parts,
  };
}

const destinations = (parts: Partial<SpecInput> = {}): readonly string[] =>
  renderSpec(input(parts)).mounts.map(({ destination }) => destination);

describe('renderSpec', () => {
  it("joins the pod's namespaces and makes pid, mount and cgroup ones", () => {
    expect(renderSpec(input()).linux.namespaces).toEqual([
      { type: 'mount' },
      { type: 'cgroup' },
      { type: 'pid' },
      { type: 'network', path: '/proc/77/ns/net' },
      { type: 'uts', path: '/proc/77/ns/uts' },
      { type: 'ipc', path: '/proc/77/ns/ipc' },
    ]);
  });

  it('leaves out what the pod shares with the host', () => {
    const sandbox = sandboxConfig({ hostNetwork: true, hostPID: true, hostIPC: true });
    expect(renderSpec(input({ sandbox })).linux.namespaces).toEqual([{ type: 'mount' }, { type: 'cgroup' }]);
  });

  it('gives runc the id mappings of a user namespace it joins', () => {
    const sandbox = sandboxConfig({ userNamespace: { hostIdStart: 100_000, size: 65_536 } });
    const { linux } = renderSpec(input({ sandbox }));
    expect(linux.namespaces).toContainEqual({ type: 'user', path: '/proc/77/ns/user' });
    expect(linux.uidMappings).toEqual([{ containerID: 0, hostID: 100_000, size: 65_536 }]);
    expect(linux.gidMappings).toEqual(linux.uidMappings);
  });

  it('is safe by default', () => {
    const spec = renderSpec(input());
    expect(spec.process.noNewPrivileges).toBe(true);
    expect(spec.linux.maskedPaths).toContain('/proc/kcore');
    expect(spec.linux.readonlyPaths).toContain('/proc/sys');
    expect(spec.linux.resources).toMatchObject({
      devices: [{ allow: false, access: 'rwm' }],
      pids: { limit: defaultPidsLimit },
    });
    expect(spec.mounts.find(({ destination }) => destination === '/sys')?.options).toContain('ro');
  });

  it('takes the walls down for a privileged container', () => {
    const spec = renderSpec(input({ container: containerConfig({ privileged: true }) }));
    expect(spec.process.noNewPrivileges).toBe(false);
    expect(spec.linux).not.toHaveProperty('maskedPaths');
    expect(spec.linux.resources).toMatchObject({ devices: [{ allow: true, access: 'rwm' }] });
  });

  it('gives capabilities to root alone, and bounds everyone', () => {
    expect(renderSpec(input()).process.capabilities).toEqual({
      bounding: ['CAP_CHOWN'],
      effective: ['CAP_CHOWN'],
      permitted: ['CAP_CHOWN'],
    });
    const user = { uid: 101, gid: 101, additionalGids: [5] };
    expect(renderSpec(input({ user })).process.capabilities).toEqual({
      bounding: ['CAP_CHOWN'],
      effective: [],
      permitted: [],
    });
  });

  it('sets the environment: a path and the host name, unless the container says otherwise', () => {
    expect(renderSpec(input()).process.env).toContain('HOSTNAME=web-0');
    const own = containerConfig({ env: { PATH: '/own', HOSTNAME: 'mine', A: 'x=y' } });
    expect(renderSpec(input({ container: own })).process.env).toEqual(['PATH=/own', 'HOSTNAME=mine', 'A=x=y']);
    expect(renderSpec(input({ container: containerConfig({ terminal: true }) })).process.env).toContain('TERM=xterm');
  });

  it('turns resources into limits; swap counts towards memory', () => {
    const resources = {
      cpuRequestMillis: 250,
      cpuLimitMillis: 500,
      memoryRequestBytes: 9000,
      memoryLimitBytes: 8000,
      pidsLimit: 5,
    };
    expect(renderSpec(input({ container: containerConfig({ resources }) })).linux.resources).toMatchObject({
      cpu: { shares: 256, period: 100_000, quota: 50_000 },
      memory: { limit: 8000, swap: 8000, reservation: 8000 },
      pids: { limit: 5 },
    });
  });

  it("mounts volumes after the kernel's file systems, outer before inner, in place of defaults they cover", () => {
    const mounts = [
      { hostPath: '/h/inner', containerPath: '/data/inner', readOnly: true },
      { hostPath: '/h/data', containerPath: '/data', readOnly: false },
      { hostPath: '/h/shm', containerPath: '/dev/shm/', readOnly: false },
      { hostPath: '', containerPath: '/cache', readOnly: false, tmpfsSizeBytes: 4096 },
    ];
    const spec = renderSpec(input({ container: containerConfig({ mounts }) }));
    expect(destinations({ container: containerConfig({ mounts }) })).toEqual([
      '/proc',
      '/dev',
      '/dev/pts',
      '/dev/mqueue',
      '/sys',
      '/sys/fs/cgroup',
      '/data',
      '/cache',
      '/data/inner',
      '/dev/shm/',
    ]);
    expect(spec.mounts.find(({ destination }) => destination === '/data/inner')).toEqual({
      destination: '/data/inner',
      type: 'bind',
      source: '/h/inner',
      options: ['rbind', 'rprivate', 'ro'],
    });
    expect(spec.mounts.find(({ destination }) => destination === '/cache')?.options).toContain('size=4096');
  });

  it('borrows /proc and /sys from the host where a user namespace may not mount its own', () => {
    const sandbox = sandboxConfig({ userNamespace: { hostIdStart: 1, size: 1 }, hostNetwork: true, hostPID: true });
    const types = renderSpec(input({ sandbox })).mounts.map(({ destination, type }) => `${destination} ${type}`);
    expect(types).toContain('/proc bind');
    expect(types).toContain('/sys bind');
    expect(destinations({ sandbox })).not.toContain('/sys/fs/cgroup');
  });
});
