/** A refusal of something that Kubernetes has, and the parts of which the tables beside this file are made. */

export interface Unsupported {
  readonly reason: string;
  readonly cure: string;
  /** Values that ask for nothing that Gantry would not do; the field is then left out. */
  readonly harmless?: (value: unknown) => boolean;
}

/** By message type and field, `PodSpec.overhead`; or by message type, field and value, `ServiceSpec.type=LoadBalancer`. */
export type UnsupportedTable = Readonly<Record<string, Unsupported>>;

export const isOneOf =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.some((allowed) => JSON.stringify(allowed) === JSON.stringify(value));

export const always = (): boolean => true;

export const later = (what: string, cure: string): Unsupported => ({ reason: `Gantry has no ${what} yet`, cure });
