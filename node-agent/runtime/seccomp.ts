/**
 * From the seccomp profile that Debian ships (containers-common, seccomp.json: rules with conditions on architecture
 * and capabilities) to the plain rules of the OCI runtime specification. Pure.
 */

/** containers-common's form, the part of it that is used. */
export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly archMap?: readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] }[];
  readonly syscalls: readonly SeccompRule[];
}

interface SeccompRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[] | null;
  readonly includes?: SeccompCondition;
  readonly excludes?: SeccompCondition;
}

interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}

interface SeccompCondition {
  readonly arches?: readonly string[];
  readonly caps?: readonly string[];
}

export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly SeccompArgument[];
  }[];
}

/** Node's `process.arch` -> the profile's two spellings. */
const architectures: Readonly<Record<string, { readonly rule: string; readonly scmp: string }>> = {
  x64: { rule: 'amd64', scmp: 'SCMP_ARCH_X86_64' },
  arm64: { rule: 'arm64', scmp: 'SCMP_ARCH_AARCH64' },
};

/** The rules that apply to a container with these capabilities on this architecture. */
export function renderSeccomp(profile: SeccompProfile, arch: string, capabilities: readonly string[]): OciSeccomp {
  const names = architectures[arch] ?? { rule: arch, scmp: '' };
  const mapped = profile.archMap?.find((entry) => entry.architecture === names.scmp);
  const applies = ({ includes, excludes }: SeccompRule): boolean => {
    if (includes?.arches?.length && !includes.arches.includes(names.rule)) return false;
    if (includes?.caps?.length && !includes.caps.every((name) => capabilities.includes(name))) return false;
    if (excludes?.arches?.includes(names.rule)) return false;
    return !excludes?.caps?.some((name) => capabilities.includes(name));
  };
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet !== undefined && { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: mapped ? [mapped.architecture, ...(mapped.subArchitectures ?? []).filter(isInUse)] : [],
    syscalls: profile.syscalls.filter(applies).map((rule) => ({
      names: rule.names,
      action: rule.action,
      ...(rule.errnoRet !== undefined && rule.action === 'SCMP_ACT_ERRNO' && { errnoRet: rule.errnoRet }),
      ...(rule.args?.length && { args: rule.args }),
    })),
  };
}

/** Debian's kernels have x32 switched off, and compiling its rules takes a third of the time that runc needs for a container. */
function isInUse(architecture: string): boolean {
  return architecture !== 'SCMP_ARCH_X32';
}
