import { describe, expect, it } from 'vitest';
import { planCapabilities, readCapabilityMask } from '../../../../node-agent/runtime/capabilities.ts';

const everything = readCapabilityMask('000001ffffffffff');

describe('readCapabilityMask', () => {
  it('names all 41, and leaves out what a host lacks', () => {
    expect(everything).toHaveLength(41);
    expect(everything[0]).toBe('CAP_CHOWN');
    expect(everything[40]).toBe('CAP_CHECKPOINT_RESTORE');
    const without = readCapabilityMask('000001fffeffffff');
    expect(everything.filter((name) => !without.includes(name))).toEqual(['CAP_SYS_RESOURCE']);
  });
});

describe('planCapabilities', () => {
  it('gives the short list by default', () => {
    const plan = planCapabilities([], [], false, everything);
    expect(plan).toHaveLength(14);
    expect(plan).toContain('CAP_NET_BIND_SERVICE');
    expect(plan).not.toContain('CAP_SYS_ADMIN');
  });

  it.each([
    [['NET_ADMIN'], [], 15],
    [['cap_net_admin'], [], 15],
    [[], ['ALL'], 0],
    [['NET_BIND_SERVICE'], ['ALL'], 1],
    [['ALL'], [], 41],
    [['CHOWN'], ['CHOWN'], 14],
  ])('add %j and drop %j leaves %i', (add, drop, count) => {
    expect(planCapabilities(add, drop, false, everything)).toHaveLength(count);
  });

  it('gives a privileged container all that the agent has, and no more', () => {
    expect(planCapabilities([], [], true, ['CAP_CHOWN', 'CAP_SYS_ADMIN'])).toEqual(['CAP_CHOWN', 'CAP_SYS_ADMIN']);
  });

  it('refuses what does not exist', () => {
    expect(() => planCapabilities(['NET_ADMN'], [], false, everything)).toThrow('unknown capability "NET_ADMN"');
  });
});
