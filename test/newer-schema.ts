/** The schema of a version to come: ours with fields, a volume type and a kind that today's programs do not know. */
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs/light.js';

const schemaFile = new URL('../proto/gen/schema.json', import.meta.url);

const added: Readonly<Record<string, Readonly<Record<string, protobuf.IField>>>> = {
  ObjectMeta: { origin: { type: 'string', id: 901 } },
  PodSpec: { nest: { type: 'Nest', id: 902 } },
  PodStatus: { mood: { type: 'string', id: 903 } },
  Container: { flavour: { type: 'string', id: 904 } },
  Lifecycle: { stopSignal: { type: 'string', id: 905 } },
  Volume: { cloud: { type: 'Nest', id: 906 } },
  DeploymentSpec: { haste: { type: 'int32', id: 907 } },
  DeploymentStatus: { applause: { type: 'int32', id: 908 } },
  NodeStatus: { moon: { type: 'string', id: 909 } },
  Toleration: { patience: { type: 'int32', id: 910 } },
  ObjectEnvelope: { widget: { type: 'Widget', id: 950 } },
  Welcome: { greeting: { type: 'string', id: 951 } },
};

/** With a kind Widget, and in known messages fields of every sort; see `added`. */
export function newerSchema(): protobuf.Root {
  const json = JSON.parse(readFileSync(schemaFile, 'utf8'));
  const messages = json.nested.gantry.nested.v1.nested;
  const widget = { apiVersion: { type: 'string', id: 1 }, kind: { type: 'string', id: 2 } };
  messages.Nest = { fields: { depth: { type: 'int32', id: 1 }, name: { type: 'string', id: 2 } } };
  messages.Widget = {
    options: { '(apiVersion)': 'v1', '(plural)': 'widgets' },
    fields: { ...widget, metadata: { type: 'ObjectMeta', id: 3 } },
  };
  for (const [message, fields] of Object.entries(added)) Object.assign(messages[message].fields, fields);
  const { oneofs } = messages.ObjectEnvelope;
  for (const { oneof } of Object.values(oneofs ?? {}) as { oneof: string[] }[]) oneof.push('widget');
  return protobuf.Root.fromJSON(json);
}

const root = newerSchema();

export function newerType(name: string): protobuf.Type {
  return root.lookupType(`gantry.v1.${name}`);
}

export function newerService(name: string): protobuf.Service {
  return root.lookupService(`gantry.v1.${name}`).resolveAll() as protobuf.Service;
}

/** Bytes as the newer version writes them. */
export function newerBytes(name: string, plain: object): Uint8Array {
  return newerType(name).encode(plain).finish();
}

/** As the newer version reads them. */
// biome-ignore lint/suspicious/noExplicitAny: a schema without types
export function newerRead(name: string, bytes: Uint8Array): any {
  const type = newerType(name);
  return type.toObject(type.decode(bytes), { longs: Number, bytes: String });
}
