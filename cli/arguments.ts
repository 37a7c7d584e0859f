/** Go's ways with flags, put into commander's. Pure. */
import type { Command } from 'commander';

/**
 * `--wait=false` becomes `--no-wait`, `--wait=true` becomes `--wait`, and `-n=web` becomes `-n web`; what follows `--`
 * is not ours.
 */
export function normalizeArguments(words: readonly string[], program: Command): string[] {
  const end = words.indexOf('--');
  const ours = end < 0 ? words : words.slice(0, end);
  const flags = booleanFlags(program);
  const normalized = ours.flatMap((word) => {
    const short = /^(-[A-Za-z])=(.*)$/s.exec(word);
    if (short) return [short[1]!, short[2]!];
    const boolean = /^(--[a-z][a-z-]*)=(true|false)$/.exec(word);
    if (!boolean || !flags.has(boolean[1]!)) return [word];
    if (boolean[2] === 'true') return [boolean[1]!];
    const negated = boolean[1]!.replace('--', '--no-');
    return flags.has(negated) ? [negated] : [];
  });
  return end < 0 ? normalized : [...normalized, ...words.slice(end)];
}

function booleanFlags(command: Command): Set<string> {
  const own = command.options.filter((option) => !option.required && !option.optional);
  const below = command.commands.flatMap((child) => [...booleanFlags(child)]);
  return new Set([...own.flatMap(({ long }) => long ?? []), ...below]);
}

/** For options that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
