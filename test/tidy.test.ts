/**
 * The house rules that a machine can check: which way imports run, and that time, chance, child processes, sockets and
 * etcd enter only where they may.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const programs = ['control-plane', 'node-agent', 'cli'];
const folders = ['lib', 'proto', ...programs, 'deploy'];

interface Source {
  readonly path: string;
  /** Without comments. */
  readonly code: string;
  /** Paths in the tree, or package names. */
  readonly imports: readonly string[];
  /** As `imports`, without `import type`. */
  readonly runtimeImports: readonly string[];
}

const sources: readonly Source[] = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(join(folder, name))),
);

function read(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
  const statements = [...code.matchAll(/(?:^|\n)\s*(import|export)\s(type\s)?(?:[^'";]*?\sfrom\s)?['"]([^'"]+)['"]/g)];
  const dynamic = [...code.matchAll(/import\(\s*['"]([^'"]+)['"]\s*\)/g)].map(([, target]) => target!);
  const toPath = (target: string): string =>
    target.startsWith('.') ? relative(root, resolve(root, dirname(path), target)) : target;
  return {
    path,
    code,
    imports: [...statements.map(([, , , target]) => toPath(target!)), ...dynamic.map(toPath)],
    runtimeImports: [
      ...statements.filter(([, , type]) => !type).map(([, , , target]) => toPath(target!)),
      ...dynamic.map(toPath),
    ],
  };
}

/** Files that break the rule, as `path: what`. */
function violations(allowed: readonly string[], find: (source: Source) => readonly string[]): string[] {
  return sources
    .filter(({ path }) => !allowed.some((entry) => path === entry || (entry.endsWith('/') && path.startsWith(entry))))
    .flatMap((source) => find(source).map((what) => `${source.path}: ${what}`));
}

const importsOf =
  (...packages: readonly string[]) =>
  ({ runtimeImports }: Source): string[] =>
    runtimeImports.filter((target) => packages.includes(target));

const uses =
  (...patterns: readonly RegExp[]) =>
  ({ code }: Source): string[] =>
    patterns.flatMap((pattern) => code.match(pattern)?.[0] ?? []);

describe('the sources', () => {
  it('were found and read', () => {
    expect(sources.length).toBeGreaterThan(100);
    expect(sources.find(({ path }) => path === 'lib/errors.ts')).toBeDefined();
    expect(sources.find(({ path }) => path === 'lib/rpc/client.ts')?.runtimeImports).toContain('@grpc/grpc-js');
  });

  it('lib and proto import no program', () => {
    expect(
      violations(
        [...programs, 'deploy'].map((name) => `${name}/`),
        ({ imports }) =>
          imports.filter((target) => [...programs, 'deploy', 'test'].some((name) => target.startsWith(`${name}/`))),
      ),
    ).toEqual([]);
  });

  it('the programs never import one another, nor tests', () => {
    const found = programs.flatMap((program) =>
      sources
        .filter(({ path }) => path.startsWith(`${program}/`))
        .flatMap(({ path, imports }) =>
          imports
            .filter((target) =>
              [...programs, 'test'].some((other) => other !== program && target.startsWith(`${other}/`)),
            )
            .map((target) => `${path}: ${target}`),
        ),
    );
    expect(found).toEqual([]);
  });

  it('nothing imports a main.ts', () => {
    expect(violations([], ({ imports }) => imports.filter((target) => target.endsWith('/main.ts')))).toEqual([]);
  });

  it('time enters through lib/clock.ts', () => {
    const timers = [
      /\bDate\.now\(/,
      /\bnew Date\(\)/,
      /\bperformance\.now\(/,
      /(?<!\.)\bset(Timeout|Interval)\(/,
      /node:timers/,
    ];
    // A deadline of a child process belongs to the child; it is no part of the system's time.
    expect(violations(['lib/clock.ts', 'lib/process.ts'], uses(...timers))).toEqual([]);
  });

  it('chance enters through lib/random.ts', () => {
    const chance = [/\bMath\.random\(/, /\brandomUUID\(/, /\brandomBytes\(/, /\bgetRandomValues\(/, /from 'nanoid'/];
    expect(violations(['lib/random.ts'], uses(...chance))).toEqual([]);
  });

  it('child processes start in lib/process.ts', () => {
    expect(violations(['lib/process.ts'], importsOf('node:child_process'))).toEqual([]);
  });

  it('sockets open in lib/rpc, lib/dns and the prober', () => {
    const opening = uses(
      /\b(createSocket|createServer|createConnection|tlsConnect)\(/,
      /from 'node:(http|https|http2|tls|dgram)'/,
    );
    expect(violations(['lib/rpc/', 'lib/dns/', 'node-agent/pods/prober.ts'], opening)).toEqual([]);
    expect(violations(['lib/rpc/', 'lib/store/'], importsOf('@grpc/grpc-js'))).toEqual([]);
  });

  it('foreign code is called in lib/libc.ts', () => {
    expect(violations(['lib/libc.ts'], importsOf('node:ffi'))).toEqual([]);
  });

  it('etcd is spoken to in lib/store', () => {
    expect(violations(['lib/store/'], importsOf('etcd3'))).toEqual([]);
  });
});
