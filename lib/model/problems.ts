/** What is wrong with an object, as data: pure checks return all problems at once; the edge makes one error of them. */
import { GantryError } from '../errors.ts';

export interface Problem {
  /** `spec.containers[0].image`; '' for the object as a whole. */
  readonly path: string;
  /** What was wrong and what to do next, without the path. */
  readonly message: string;
}

const notSupported = 'not supported';

export function unsupportedProblem(path: string, reason: string, cure: string): Problem {
  return { path, message: `${notSupported}, because ${reason}; ${cure}` };
}

/** One line for people. */
export function problemLine({ path, message }: Problem): string {
  if (path === '') return message;
  if (message.startsWith(`${notSupported},`)) return `${notSupported}: ${path}${message.slice(notSupported.length)}`;
  return `${path}: ${message}`;
}

/** Details travel as HTTP/2 headers, of which there may be 128 and which Node limits to 64 KiB together. */
const mostLines = 60;
const longestLine = 500;

/** `what` names the object: `Deployment "web"`. */
export function problemsError(what: string, problems: readonly Problem[]): GantryError {
  const lines = [...new Set(problems.map(problemLine))].map((line) => line.slice(0, longestLine));
  const message = `${what} is invalid: ${lines.length === 1 ? lines[0] : `${lines.length} problems`}`;
  const details = lines.slice(0, mostLines);
  if (lines.length > mostLines) details.push(`... and ${lines.length - mostLines} more`);
  return new GantryError('invalidArgument', message, { details });
}

/** `base.name`, `base[0]`, or `name` alone. */
export function at(base: string, part: string | number): string {
  if (typeof part === 'number') return `${base}[${part}]`;
  return base === '' ? part : `${base}.${part}`;
}

/** A key of a map: `metadata.labels["app"]`. */
export function atKey(base: string, key: string): string {
  return `${base}[${JSON.stringify(key)}]`;
}
