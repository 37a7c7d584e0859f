/**
 * Fills Node's compile cache for the long-running programs. Node writes it only at a clean exit, which machines that
 * are unplugged never have; without it every agent carries the TypeScript compiler in memory (17 MB) and starts slower.
 */
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Exec } from '../../lib/process.ts';
import { agentNodeFlags } from './programs.ts';
import { cloneFolder } from './state.ts';

export const compileCacheFolder = join(cloneFolder, '.cache/node');
const stampFile = join(cloneFolder, '.cache/node.stamp');
/** With the flags they are run with: V8 takes no cache from a Node with other ones. */
const programs = [
  [...agentNodeFlags, join(cloneFolder, 'node-agent/main.ts')],
  [...agentNodeFlags, join(cloneFolder, 'node-agent/session/stand-in-thread.ts')],
  [join(cloneFolder, 'control-plane/main.ts')],
];
const sources = '{lib,proto/gen,node-agent,control-plane}/**/*.ts';

/** Runs each program once, to its version, if its sources have changed. What fails here fails again where it is run. */
export async function warmCompileCache(exec: Exec): Promise<void> {
  const stamp = sourceStamp();
  if (readStamp() === stamp) return;
  mkdirSync(compileCacheFolder, { recursive: true });
  const node = join(cloneFolder, 'node_modules/.bin/node');
  await Promise.all(
    programs.map((program) =>
      exec.run([node, ...program, '--version'], { env: { NODE_COMPILE_CACHE: compileCacheFolder } }),
    ),
  );
  writeFileSync(stampFile, stamp);
}

/** Times rather than contents: two hundred files, a few milliseconds. */
function sourceStamp(): string {
  const hash = createHash('sha256').update(process.version).update(agentNodeFlags.join());
  for (const path of globSync(sources, { cwd: cloneFolder }).sort()) {
    hash.update(`${path} ${statSync(join(cloneFolder, path)).mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function readStamp(): string | undefined {
  try {
    return readFileSync(stampFile, 'utf8');
  } catch {
    return undefined;
  }
}
