import { describe, expect, it, vi } from 'vitest';
import { parseFlags } from '../../../control-plane/options.ts';

const base = ['--advertise-address', '10.88.0.2'];

/** commander says what is wrong on standard error and exits. */
function refusal(...argv: string[]): string {
  const said: string[] = [];
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => said.push(String(text)) > 0);
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => {
    throw new Error('exit');
  });
  try {
    expect(() => parseFlags(argv, '1.2.3')).toThrow('exit');
  } finally {
    write.mockRestore();
    exit.mockRestore();
  }
  return said.join('');
}

describe('the command line of the control plane', () => {
  it('needs only the address at which it is reached', () => {
    expect(parseFlags(base, '1.2.3')).toMatchObject({
      listen: '0.0.0.0:6443',
      joinListen: '0.0.0.0:6444',
      dnsListen: '10.88.0.2:53',
      clusterCidr: '10.42.0.0/16',
      scheduler: 'least-loaded',
      nodeLeaseMs: 3000,
      etcdEndpoints: [],
    });
    expect(refusal()).toContain('--advertise-address');
  });

  it('answers names outside to those that are named', () => {
    const named = (text: string) => parseFlags([...base, '--dns-recursion-from', text], '1.2.3').dnsRecursionFrom;
    expect(parseFlags(base, '1.2.3').dnsRecursionFrom).toEqual([]);
    expect(named('10.0.0.0/8, 192.168.0.0/16')).toEqual(['10.0.0.0/8', '192.168.0.0/16']);
    for (const wrong of ['10.0.0.1', '10.0.0.0/33', 'all']) {
      expect(refusal(...base, '--dns-recursion-from', wrong)).toContain('expected CIDRs');
    }
  });

  it('takes etcd endpoints as URLs', () => {
    const flags = parseFlags([...base, '--etcd-endpoints', 'https://a:2379, https://b:2379/'], '1.2.3');
    expect(flags.etcdEndpoints).toEqual(['a:2379', 'b:2379']);
    expect(refusal(...base, '--etcd-endpoints', 'a')).toContain('expected URLs with a port');
  });

  it('takes the control planes to join, and one token', () => {
    expect(parseFlags(base, '1.2.3').join).toEqual([]);
    const flags = parseFlags([...base, '--join', '10.88.0.2, 10.88.0.3:6444', '--token-file', '/t'], '1.2.3');
    expect(flags).toMatchObject({ join: ['10.88.0.2', '10.88.0.3:6444'], tokenFile: '/t' });
    expect(refusal(...base, '--join', 'https://a')).toContain('expected HOST or HOST:PORT');
    expect(refusal(...base, '--join', 'a', '--token', 'x', '--token-file', '/t')).toContain('cannot be used with');
  });

  it('refuses what cannot work, and says what would', () => {
    expect(refusal(...base, '--scheduler', 'best')).toContain('least-loaded');
    expect(refusal(...base, '--node-lease-ms', 'soon')).toContain('whole number');
    expect(() => parseFlags([...base, '--node-lease-ms', '1500'], '1.2.3')).toThrow(/at least twice as much/);
  });
});
