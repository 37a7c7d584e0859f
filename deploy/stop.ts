/** `npm stop`: takes the lab down, whatever state it is in. usage: npm stop -- [--name LAB] */
import { parseArgs } from 'node:util';
import { systemClock } from '../lib/clock.ts';
import { systemExec } from '../lib/process.ts';
import { removeLab } from './lab/lab.ts';
import { labNames } from './lab/state.ts';
import { unlinkLauncher } from './launcher.ts';
import { createSteps } from './steps.ts';

const { values } = parseArgs({ options: { name: { type: 'string', default: 'default' } } });
const steps = createSteps(systemClock, process.stdout);
try {
  const done = steps.begin(`lab "${values.name}" removed`);
  await removeLab({ exec: systemExec(), clock: systemClock }, values.name);
  const others = labNames();
  if (values.name === 'default') unlinkLauncher();
  done();
  if (others.length > 0) console.log(`Other labs stay up: ${others.join(', ')} (npm stop -- --name NAME)`);
} catch (error) {
  steps.fail(error);
  process.exitCode = 1;
}
