/** HorizontalPodAutoscaler: defaults, what is refused, and the warning about requests. */
import { describe, expect, it } from 'vitest';
import { requestWarning, type Scalable } from '../../../../lib/model/autoscaling.ts';
import { checkManifest } from '../../../../lib/model/check.ts';
import { withDefaults } from '../../../../lib/model/defaults.ts';
import { problemLine } from '../../../../lib/model/manifest.ts';
import type { HorizontalPodAutoscaler, LimitRange } from '../../../../proto/gen/types.ts';

const hpa = (spec: object = {}) => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'web' },
  spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, maxReplicas: 5, ...spec },
});
const metric = (target: object, name = 'cpu', rest: object = {}) =>
  hpa({ metrics: [{ type: 'Resource', resource: { name, target }, ...rest }] });
const rules = (scaleUp: object) => hpa({ behavior: { scaleUp } });
const linesOf = (value: unknown): string[] => checkManifest(value).problems.map(problemLine);

describe('a HorizontalPodAutoscaler', () => {
  it('has defaults', () => {
    expect(withDefaults(hpa() as HorizontalPodAutoscaler).spec).toMatchObject({
      minReplicas: 1,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ],
    });
    expect(withDefaults(hpa() as HorizontalPodAutoscaler).spec.behavior).toBeUndefined();
    const given = hpa({ behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } }) as HorizontalPodAutoscaler;
    expect(withDefaults(given).spec.behavior).toEqual({
      scaleUp: {
        selectPolicy: 'Max',
        stabilizationWindowSeconds: 0,
        policies: [
          { type: 'Pods', value: 4, periodSeconds: 15 },
          { type: 'Percent', value: 100, periodSeconds: 15 },
        ],
      },
      scaleDown: {
        selectPolicy: 'Max',
        stabilizationWindowSeconds: 0,
        policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
      },
    });
  });

  const good: readonly object[] = [
    hpa({ minReplicas: 5 }),
    metric({ type: 'Utilization', averageUtilization: 250 }),
    metric({ type: 'AverageValue', averageValue: '100Mi' }, 'memory'),
    rules({ selectPolicy: 'Disabled', tolerance: '50m' }),
    hpa({ scaleTargetRef: { kind: 'StatefulSet', name: 'db' } }),
  ];
  it.each(good)('takes %j', (value) => expect(linesOf(value)).toEqual([]));

  const bad: readonly [object, RegExp][] = [
    [hpa({ maxReplicas: 0 }), /^spec\.maxReplicas: 0 is not allowed/],
    [hpa({ minReplicas: 0 }), /^spec\.minReplicas: 0 is not allowed/],
    [hpa({ minReplicas: 6 }), /^spec\.maxReplicas: 5 is less than minReplicas/],
    [hpa({ maxReplicas: undefined }), /^spec\.maxReplicas: required/],
    [
      hpa({ scaleTargetRef: { kind: 'DaemonSet', name: 'x' } }),
      /^spec\.scaleTargetRef\.kind: a DaemonSet cannot be scaled/,
    ],
    [
      hpa({ scaleTargetRef: { kind: 'Deployment', apiVersion: 'v1', name: 'x' } }),
      /^spec\.scaleTargetRef\.apiVersion: .*apps\/v1/,
    ],
    [metric({ type: 'Value', value: '1' }), /^not supported: .*target\.type: Value, .*use type AverageValue/],
    [metric({ type: 'Utilization' }), /target\.averageUtilization: required/],
    [metric({ type: 'Utilization', averageUtilization: 0 }), /target\.averageUtilization: 0 is not allowed/],
    [metric({ type: 'AverageValue' }), /target\.averageValue: required/],
    [metric({ type: 'AverageValue', averageValue: '0' }), /target\.averageValue: must be more than 0/],
    [
      metric({ type: 'AverageValue', averageValue: '1', averageUtilization: 3 }),
      /target: has averageUtilization and averageValue/,
    ],
    [metric({ type: 'Utilization', averageUtilization: 3 }, 'disk'), /resource\.name: .*cpu/],
    [
      hpa({ metrics: [{ type: 'Pods', pods: {} }] }),
      /^not supported: spec\.metrics\[0\]\.type: Pods, .*\nnot supported: spec\.metrics\[0\]\.pods, [^\n]*$/,
    ],
    [hpa({ metrics: [{ type: 'External', external: {} }] }), /^not supported: spec\.metrics\[0\]\.type: External, /],
    [hpa({ metrics: [{ type: 'Resource' }] }), /metrics\[0\]\.resource: required/],
    [rules({ stabilizationWindowSeconds: 4000 }), /scaleUp\.stabilizationWindowSeconds: 4000 is not allowed/],
    [rules({ policies: [{ type: 'Pods', value: 0, periodSeconds: 15 }] }), /policies\[0\]\.value: 0 is not allowed/],
    [
      rules({ policies: [{ type: 'Pods', value: 1, periodSeconds: 1801 }] }),
      /policies\[0\]\.periodSeconds: 1801 is not/,
    ],
    [{ ...hpa(), apiVersion: 'autoscaling/v1' }, /^apiVersion: .*autoscaling\/v2/],
  ];
  it.each(bad)('refuses %j', (value, line) => expect(linesOf(value).join('\n')).toMatch(line));

  it('warns about a target without requests', () => {
    const target = (resources: object) =>
      ({
        kind: 'Deployment',
        metadata: { name: 'web' },
        spec: {
          template: {
            spec: {
              containers: [
                { name: 'a', resources: { limits: { cpu: '1' } } },
                { name: 'b', resources },
              ],
            },
          },
        },
      }) as unknown as Scalable;
    const autoscaler = withDefaults(hpa() as HorizontalPodAutoscaler);
    expect(requestWarning(autoscaler, target({}), [])).toBe(
      'it cannot scale by cpu utilization: container b of Deployment web requests no cpu; ' +
        'set spec.template.spec.containers[1].resources.requests.cpu of Deployment web',
    );
    expect(requestWarning(autoscaler, target({ requests: { cpu: '1' } }), [])).toBeUndefined();
    const range = (defaultRequest: Readonly<Record<string, string>>): LimitRange => ({
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'all' },
      spec: { limits: [{ type: 'Container', defaultRequest }] },
    });
    expect(requestWarning(autoscaler, target({}), [range({ cpu: '50m' })])).toBeUndefined();
    expect(requestWarning(autoscaler, target({}), [range({ memory: '1Mi' })])).toMatch('requests no cpu');
  });
});
