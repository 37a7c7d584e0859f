/**
 * kubectl's JSONPath templates: `{.items[*].metadata.name}`, `{range .items[*]}{.metadata.name}{"\n"}{end}`. Only the
 * frame is read here; a path itself is written as RFC 9535 wants it and left to a library. Pure.
 */
import { compile } from 'json-p3';
import { GantryError, messageOf } from '../../lib/errors.ts';

type Json = Parameters<ReturnType<typeof compile>['query']>[0];

/** The values that a path finds below `from`, in order; none when it names what is not there. */
export type Path = (root: unknown, from: unknown) => readonly unknown[];

export type Template = (root: unknown) => string;

type Part =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'path'; readonly path: Path }
  | { readonly type: 'range'; readonly path: Path; readonly parts: readonly Part[] };

/** As `-o jsonpath=` takes it: text, with paths and `range` ... `end` between braces. */
export function parseTemplate(template: string): Template {
  const tokens = template.match(/\{(?:[^{}"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')*\}|[^{}]+|[{}]/g) ?? [];
  const parts = parseParts(tokens[Symbol.iterator](), template, false);
  return (root) => render(parts, root, root);
}

/** One path, with or without braces: `{.metadata.name}` or `.metadata.name`. */
export function parsePath(text: string): Path {
  const bare = /^\{(.*)\}$/s.exec(text.trim())?.[1] ?? text.trim();
  const fromRoot = bare.startsWith('$');
  const expression = standardPath(bare.replace(/^[$@]/, ''), text);
  let query: ReturnType<typeof compile>;
  try {
    query = compile(`$${expression}`);
  } catch (error) {
    throw wrong(text, messageOf(error));
  }
  return (root, from) => query.query((fromRoot ? root : from) as Json).values();
}

export function valueText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

function parseParts(tokens: Iterator<string>, template: string, inRange: boolean): Part[] {
  const parts: Part[] = [];
  for (let next = tokens.next(); !next.done; next = tokens.next()) {
    const token = next.value;
    if (token === '{' || token === '}') throw wrong(template, `there is a ${token} without its counterpart`);
    if (!token.startsWith('{')) {
      parts.push({ type: 'text', text: token });
      continue;
    }
    const inside = token.slice(1, -1).trim();
    if (inside === 'end') {
      if (inRange) return parts;
      throw wrong(template, '{end} without {range}');
    }
    const range = /^range\s+(.*)$/s.exec(inside);
    if (range) parts.push({ type: 'range', path: parsePath(range[1]!), parts: parseParts(tokens, template, true) });
    else if (/^["']/.test(inside)) parts.push({ type: 'text', text: literal(inside, template) });
    else parts.push({ type: 'path', path: parsePath(inside) });
  }
  if (inRange) throw wrong(template, '{range} without {end}');
  return parts;
}

function render(parts: readonly Part[], root: unknown, from: unknown): string {
  const texts = parts.map((part) => {
    if (part.type === 'text') return part.text;
    const values = part.path(root, from);
    if (part.type === 'path') return values.map(valueText).join(' ');
    return values.map((value) => render(part.parts, root, value)).join('');
  });
  return texts.join('');
}

function literal(quoted: string, template: string): string {
  if (quoted.length < 2 || quoted.at(-1) !== quoted[0]) throw wrong(template, `${quoted} has no closing quote`);
  const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
  return quoted.slice(1, -1).replace(/\\(.)/gs, (_, character: string) => escapes[character] ?? character);
}

/**
 * kubectl's `.metadata.labels.app\.kubernetes\.io/name` as the standard's `["metadata"]["labels"]["app.kubernetes.io/name"]`;
 * brackets stay, but for paths in filters.
 */
function standardPath(text: string, whole: string): string {
  let rest = text === '.' ? '' : text;
  let path = '';
  while (rest !== '') {
    const brackets = rest.startsWith('[') ? bracketed(rest, whole) : undefined;
    const name = /^(\.\.?)?((?:\\.|[^\\.[\]{}\s])+)/s.exec(rest);
    if (brackets !== undefined) {
      path += `[${selector(brackets, whole)}]`;
      rest = rest.slice(brackets.length + 2);
    } else if (name && (name[1] || path === '')) {
      const [all, dots = '', field = ''] = name;
      path +=
        (dots === '..' ? '..' : '') + (field === '*' ? '[*]' : `[${JSON.stringify(field.replace(/\\(.)/gs, '$1'))}]`);
      rest = rest.slice(all.length);
    } else if (/^\.\.?\[/.test(rest)) {
      path += rest.startsWith('..') ? '..' : '';
      rest = rest.replace(/^\.+/, '');
    } else throw wrong(whole, `"${rest}" is no field, such as .metadata.name`);
  }
  return path;
}

/** What stands between the bracket that `text` begins with and its counterpart. */
function bracketed(text: string, whole: string): string {
  const inside = /^\[((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^[\]"']|\[(?:"[^"]*"|'[^']*'|[^[\]"'])*\])*)\]/s.exec(
    text,
  );
  if (!inside) throw wrong(whole, 'a bracket is not closed');
  return inside[1]!;
}

function selector(text: string, whole: string): string {
  if (!text.trim().startsWith('?')) return text.replaceAll('\\.', '.');
  return text.replace(
    /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|@((?:\.(?:\\.|[^\\.\s[\]()=<>!&|])+|\[[^\]]*\])+)/gs,
    (all, path) => (path === undefined ? all : `@${standardPath(path, whole)}`),
  );
}

function wrong(text: string, why: string): GantryError {
  return new GantryError(
    'invalidArgument',
    `cannot read the JSONPath ${text}: ${why}; write for example {.metadata.name} or {range .items[*]}{.metadata.name}{"\\n"}{end}`,
  );
}
