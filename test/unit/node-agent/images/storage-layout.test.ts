import { describe, expect, it } from 'vitest';
import { parseImageConfig } from '../../../../node-agent/images/storage-layout.ts';

describe('parseImageConfig', () => {
  it('reads what a container start needs', () => {
    const config = {
      Entrypoint: ['/docker-entrypoint.sh'],
      Cmd: ['nginx'],
      Env: ['A=b'],
      WorkingDir: '/srv',
      User: 'web',
      StopSignal: 'SIGQUIT',
    };
    expect(parseImageConfig(JSON.stringify({ architecture: 'amd64', config }))).toEqual({
      entrypoint: ['/docker-entrypoint.sh'],
      cmd: ['nginx'],
      env: ['A=b'],
      workingDir: '/srv',
      user: 'web',
      stopSignal: 'SIGQUIT',
    });
  });

  it.each(['{}', '{"config":{}}', '{"config":{"Cmd":null,"Env":null,"WorkingDir":"","StopSignal":""}}'])(
    'fills in what %s leaves out',
    (text) => {
      expect(parseImageConfig(text)).toEqual({
        entrypoint: [],
        cmd: [],
        env: [],
        workingDir: '/',
        user: '',
        stopSignal: 'SIGTERM',
      });
    },
  );
});
