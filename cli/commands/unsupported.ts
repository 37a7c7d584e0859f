/** kubectl's commands that Gantry does not have, each with what to do instead. */
import type { Command } from 'commander';
import { GantryError } from '../../lib/errors.ts';

const cures: Readonly<Record<string, string>> = {
  edit: 'write it out with `ctl get TYPE NAME -o yaml > FILE`, change the file, then `ctl apply -f FILE`',
  replace: 'use `ctl apply -f FILE`',
  diff: 'use `ctl apply -f FILE --dry-run=server -o yaml` and compare it with `ctl get -f`',
  attach: 'use `ctl logs -f POD` for its output, `ctl exec -it POD -- sh` for a shell',
  cp: 'use `ctl exec`: `ctl exec POD -- cat FILE > FILE`, or `ctl exec -i POD -- sh -c "cat > FILE" < FILE`',
  'port-forward': 'expose the pods as a service of type NodePort: `ctl expose deploy/NAME --type=NodePort --port=PORT`',
  proxy: 'services call the API over gRPC, see examples/',
  debug: 'use `ctl exec -it POD -- sh`',
  config: 'name the file with --config or $GANTRY_CONFIG',
};

export const unsupportedNames: readonly string[] = Object.keys(cures);

export function registerUnsupported(name: string): (program: Command) => void {
  return (program) => {
    program
      .command(`${name} [words...]`, { hidden: true })
      .allowUnknownOption()
      .action(() => {
        throw new GantryError('unimplemented', `not supported: ctl ${name}; ${cures[name]}`);
      });
  };
}
