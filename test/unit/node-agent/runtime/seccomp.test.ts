import { describe, expect, it } from 'vitest';
import { renderSeccomp, type SeccompProfile } from '../../../../node-agent/runtime/seccomp.ts';

const profile: SeccompProfile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 38,
  archMap: [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
  ],
  syscalls: [
    { names: ['read'], action: 'SCMP_ACT_ALLOW', args: null },
    { names: ['arch_prctl'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['amd64'] } },
    { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] } },
    { names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 1, excludes: { caps: ['CAP_SYS_ADMIN'] } },
    { names: ['personality'], action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }] },
  ],
};
const names = (arch: string, capabilities: readonly string[]): readonly string[] =>
  renderSeccomp(profile, arch, capabilities).syscalls.map(({ names: [name], action }) => `${name} ${action}`);

describe('renderSeccomp', () => {
  it('keeps the rules of this architecture and these capabilities', () => {
    expect(names('x64', [])).toEqual([
      'read SCMP_ACT_ALLOW',
      'arch_prctl SCMP_ACT_ALLOW',
      'mount SCMP_ACT_ERRNO',
      'personality SCMP_ACT_ALLOW',
    ]);
    expect(names('arm64', ['CAP_SYS_ADMIN'])).toEqual([
      'read SCMP_ACT_ALLOW',
      'mount SCMP_ACT_ALLOW',
      'personality SCMP_ACT_ALLOW',
    ]);
  });

  it('keeps defaults, errors and arguments, and compiles no rules for x32', () => {
    const rendered = renderSeccomp(profile, 'x64', []);
    expect(rendered).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 38 });
    expect(rendered.architectures).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
    expect(rendered.syscalls[0]).toEqual({ names: ['read'], action: 'SCMP_ACT_ALLOW' });
    expect(rendered.syscalls[2]).toMatchObject({ errnoRet: 1 });
    expect(rendered.syscalls[3]?.args).toEqual([{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }]);
  });
});
