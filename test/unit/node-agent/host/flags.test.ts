import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseFlags } from '../../../../node-agent/host/flags.ts';

const parse = (...words: string[]) => parseFlags(['node', 'main.ts', '--node-ip', '10.0.0.11', ...words], '0');

describe("the agent's command line", () => {
  it.each([
    ['10.0.0.5', ['10.0.0.5:6443']],
    ['10.0.0.5:7443', ['10.0.0.5:7443']],
    ['cp-1.lan, cp-2.lan:7443', ['cp-1.lan:6443', 'cp-2.lan:7443']],
    ['[fd00::5]', ['[fd00::5]:6443']],
  ])('--server %s', (given, servers) => {
    expect(parse('--server', given).server).toEqual(servers);
  });

  it("takes the machine's name when none is given", () => {
    expect(parse('--server', '10.0.0.5').nodeName).toBe(hostname().toLowerCase());
    expect(parse('--server', '10.0.0.5', '--node-name', 'rack-7').nodeName).toBe('rack-7');
  });
});
