/** `ctl explain`: documentation of a kind's fields. Needs no cluster. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Comments, type ExplainOptions, explainText } from '../output/explain.ts';
import { resourceKind } from '../resources.ts';

const protoFolder = new URL('../../proto/gantry/v1/', import.meta.url);

export function registerExplain(program: Command): void {
  program
    .command('explain <path>')
    .usage('TYPE[.FIELD...]')
    .option('--recursive', 'all fields below, without their descriptions')
    .action((path: string, options: ExplainOptions, command: Command) => {
      const [name = '', ...fields] = path.split('.').filter(Boolean);
      const text = explainText(resourceKind(name), fields, commentsOf(protoTexts()), options);
      command.configureOutput().writeOut!(text);
    });
}

function protoTexts(): string[] {
  const names = readdirSync(protoFolder).filter((name) => name.endsWith('.proto'));
  return names.map((name) => readFileSync(new URL(name, protoFolder), 'utf8'));
}

/** Pure. The comments above messages and fields, by `Message` and `Message.field`. The contract is their only source. */
export function commentsOf(texts: readonly string[]): Comments {
  const comments = new Map<string, string>();
  for (const text of texts) {
    let message = '';
    let pending: string[] = [];
    for (const line of text.split('\n')) {
      const comment = /^\s*\/\/ ?(.*)$/.exec(line);
      if (comment) {
        pending.push(comment[1]!.trim());
        continue;
      }
      const opened = /^message (\w+)/.exec(line);
      const field = /^\s+(?:optional |repeated )?(?:map<[^>]*>|[\w.]+) (\w+) = \d+/.exec(line);
      if (opened) message = opened[1]!;
      const name = opened ? message : field && message ? `${message}.${field[1]}` : undefined;
      if (name !== undefined && pending.length > 0) comments.set(name, pending.join(' '));
      pending = [];
    }
  }
  return (name) => comments.get(name);
}
