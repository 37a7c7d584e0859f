/**
 * Writes proto/gen from proto/gantry/v1: `types.ts` (plain data types with the field comments) and `schema.json` (the
 * same schema for the codec, admission and reflection at run time). `--check` fails when what is checked in is stale.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import protobuf from 'protobufjs';

const here = new URL('.', import.meta.url).pathname;
const files = [
  'options',
  'meta',
  'placement',
  'core',
  'apps',
  'workloads',
  'batch',
  'policy',
  'quota',
  'autoscaling',
  'stats',
  'storage',
  'cluster',
  'session',
  'agent',
  'health',
];

const scalarTypes: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'boolean',
  int32: 'number',
  int64: 'number',
  uint32: 'number',
};

function loadSchema(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) =>
    target.startsWith('google/') ? `${here}../node_modules/protobufjs/${target}` : `${here}${target}`;
  root.loadSync(
    files.map((name) => `gantry/v1/${name}.proto`),
    { keepCase: true, alternateCommentMode: true, preferTrailingComment: false },
  );
  root.resolveAll();
  for (const message of messagesOf(root)) message.fieldsArray.forEach(shortenOptions);
  return root;
}

/**
 * An option is written in full, `(gantry.v1.values)`, where the message has a field of that name: protoc takes the short
 * name for the field, and refuses it. Who reads the schema knows the short one alone.
 */
function shortenOptions(field: protobuf.Field): void {
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(field.options ?? {})) {
    const short = name.replace(/^\(\.?gantry\.v1\./, '(');
    if (short === name && field.parent?.get(name.slice(1, -1))) {
      throw new Error(`${field.fullName}: write (gantry.v1.${name.slice(1)} for the option ${name}`);
    }
    options[short] = value;
  }
  if (field.options) field.options = options;
}

/** In objects (Secret.data) bytes are base64 text, as in JSON; in streams they stay bytes. */
function bytesType(message: protobuf.Type): string {
  return message.filename?.endsWith('core.proto') ? 'string' : 'Uint8Array';
}

function scalar(message: protobuf.Type, field: protobuf.Field): string {
  const values = field.options?.['(values)'] as string | undefined;
  if (values !== undefined)
    return values
      .split('|')
      .map((value) => `'${value}'`)
      .join(' | ');
  if (field.type === 'bytes') return bytesType(message);
  return scalarTypes[field.type] ?? field.type;
}

function typeOf(message: protobuf.Type, field: protobuf.Field): string {
  const plain = scalar(message, field);
  if (field instanceof protobuf.MapField) return `Record<string, ${plain}>`;
  if (field.repeated) return plain.includes('|') ? `(${plain})[]` : `${plain}[]`;
  return plain;
}

function comment(text: string | null, indent: string): string {
  if (!text) return '';
  const lines = text
    .trim()
    .split('\n')
    .map((line) => line.trim());
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`;
}

function renderMessage(message: protobuf.Type): string {
  const apiVersion = message.options?.['(apiVersion)'] as string | undefined;
  const fields = message.fieldsArray.map((field) => {
    const required = field.options?.['(required)'] === true;
    let type = typeOf(message, field);
    if (apiVersion !== undefined && field.name === 'apiVersion') type = `'${apiVersion}'`;
    if (apiVersion !== undefined && field.name === 'kind') type = `'${message.name}'`;
    return `${comment(field.comment, '  ')}  ${field.name}${required ? '' : '?'}: ${type};\n`;
  });
  return `${comment(message.comment, '')}export interface ${message.name} {\n${fields.join('')}}\n`;
}

/** Method tables: what lib/rpc's typed servers and clients are made of. */
function renderServices(root: protobuf.Root): string {
  const namespaces = ['gantry.v1', 'grpc.health.v1'].map((name) => root.lookup(name) as protobuf.Namespace);
  const services = namespaces.flatMap((entry) =>
    entry.nestedArray.filter((nested) => nested instanceof protobuf.Service),
  );
  const methods = (service: protobuf.Service): string =>
    service.methodsArray
      .map((method) => {
        const kind = method.requestStream ? 'bidi' : method.responseStream ? 'serverStream' : 'unary';
        const types = `request: ${method.requestType}; response: ${method.responseType}`;
        return `${comment(method.comment, '    ')}    ${method.name}: { kind: '${kind}'; ${types} };\n`;
      })
      .join('');
  const body = services.map(
    (service) => `${comment(service.comment, '  ')}  ${service.name}: {\n${methods(service)}  };\n`,
  );
  return `/** Every service's methods by name. */\nexport interface Services {\n${body.join('')}}\n`;
}

function messagesOf(root: protobuf.Root): protobuf.Type[] {
  const namespaces = ['gantry.v1', 'grpc.health.v1'].map((name) => root.lookup(name) as protobuf.Namespace);
  return namespaces.flatMap((entry) => entry.nestedArray.filter((nested) => nested instanceof protobuf.Type));
}

function renderTypes(root: protobuf.Root): string {
  const messages = messagesOf(root);
  const kinds = messages.filter((message) => message.options?.['(apiVersion)'] !== undefined);
  return [
    '// Generated by proto/generate.ts from proto/gantry/v1. Do not edit: run `npm run generate`.\n',
    ...messages.map(renderMessage),
    `/** Every kind of object, told apart by \`kind\`. */\nexport type KubeObject =\n${kinds.map((kind) => `  | ${kind.name}`).join('\n')};\n`,
    renderServices(root),
    `export interface KindMap {\n${kinds.map((kind) => `  ${kind.name}: ${kind.name};\n`).join('')}}\n`,
  ].join('\n');
}

function renderSchema(root: protobuf.Root): string {
  const { grpc } = root.toJSON({ keepComments: false }).nested ?? {};
  const namespace = (root.lookup('gantry.v1') as protobuf.Namespace).toJSON({ keepComments: false });
  // The extensions' own declarations need google/protobuf/descriptor.proto; their values on fields stay readable.
  const nested = Object.fromEntries(Object.entries(namespace.nested ?? {}).filter(([, entry]) => !('extend' in entry)));
  return `${JSON.stringify({ nested: { gantry: { nested: { v1: { nested } } }, grpc } }, null, 1)}\n`;
}

const schema = loadSchema();
const outputs: Readonly<Record<string, string>> = {
  [`${here}gen/types.ts`]: renderTypes(schema),
  [`${here}gen/schema.json`]: renderSchema(schema),
};
const check = process.argv.includes('--check');
let stale = false;
for (const [path, text] of Object.entries(outputs)) {
  if (!check) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`${path.slice(here.length)} is stale: run \`npm run generate\` and commit the result`);
    stale = true;
  }
}
process.exitCode = stale ? 1 : 0;
