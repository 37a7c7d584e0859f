import { describe, expect, test } from 'vitest';
import { ServerChoice } from '../../../../node-agent/session/server-choice.ts';

const servers = ['a:1', 'b:1', 'c:1'];

describe('the choice of a server', () => {
  test('goes round, and straight to a leader it is told of, once', () => {
    const choice = new ServerChoice(servers);
    expect(choice.next(0)).toBe('a:1');
    choice.refused('a:1', undefined, 0);
    expect(choice.next(0)).toBe('b:1');
    choice.refused('b:1', 'd:1', 0);
    expect(choice.leader).toBe('d:1');
    expect([choice.next(0), choice.next(0)]).toEqual(['d:1', 'b:1']);
    choice.refused('b:1', 'b:1', 0);
    expect(choice.next(0)).toBe('c:1');
  });

  test('leaves a silent server alone for a while, whoever takes it for the leader', () => {
    const choice = new ServerChoice(servers);
    choice.silent('a:1', 'in session', 1000);
    expect(choice.next(1000)).toBe('b:1');
    choice.refused('b:1', 'a:1', 1100);
    expect(choice.leader).toBeUndefined();
    expect(choice.next(1100)).toBe('c:1');
    choice.refused('c:1', 'a:1', 1200);
    expect(choice.next(1200)).toBe('b:1');
    choice.refused('b:1', 'c:1', 1300);
    expect(choice.next(1300)).toBe('c:1');
    choice.refused('c:1', 'a:1', 3001);
    expect(choice.next(3001)).toBe('a:1');
  });

  test('waits longer for one that does not answer the dial, and leaves it alone longer, until it does', () => {
    const choice = new ServerChoice(servers);
    expect(choice.patienceMs('a:1')).toBe(2000);
    choice.silent('a:1', 'dialed', 0);
    expect([choice.patienceMs('a:1'), choice.patienceMs('b:1')]).toEqual([4000, 2000]);
    choice.refused('b:1', 'a:1', 3999);
    expect(choice.leader).toBeUndefined();
    choice.refused('b:1', 'a:1', 4000);
    expect(choice.next(4000)).toBe('a:1');
    for (const server of servers) choice.silent(server, 'dialed', 5000);
    expect(servers).toContain(choice.next(5001));
    expect(choice.patienceMs('a:1')).toBe(5000);
    choice.welcomed('a:1');
    expect(choice.patienceMs('a:1')).toBe(2000);
    const alone = new ServerChoice(['a:1']);
    expect(alone.patienceMs('a:1')).toBe(5000);
    alone.silent('a:1', 'dialed', 0);
    expect(alone.patienceMs('a:1')).toBe(10_000);
  });

  test('waits little for one whose session broke or fell silent, and then longer each time', () => {
    const choice = new ServerChoice(servers);
    choice.silent('a:1', 'in session', 0);
    const patience = [choice.patienceMs('a:1')];
    for (let dial = 0; dial < 4; dial += 1) {
      choice.silent('a:1', 'dialed', 0);
      patience.push(choice.patienceMs('a:1'));
    }
    expect(patience).toEqual([500, 1000, 2000, 4000, 5000]);
    choice.broke('a:1', 0); // a connection refused while it starts again changes nothing
    expect(choice.patienceMs('a:1')).toBe(5000);
    expect(choice.next(0)).toBe('b:1');
    choice.broke('b:1', 0);
    expect(choice.next(0)).toBe('c:1');
    expect(choice.patienceMs('b:1')).toBe(500);
    choice.refused('c:1', 'b:1', 1);
    expect(choice.next(1)).toBe('b:1');
  });

  test('turns to the control planes it learns of, and to those it was given', () => {
    const choice = new ServerChoice(['a:1']);
    choice.learn(['b:1', 'a:1', 'c:1']);
    choice.silent('a:1', 'in session', 0);
    expect([choice.next(1), choice.patienceMs('b:1')]).toEqual(['b:1', 2000]);
    choice.learn([]);
    expect(choice.next(1)).toBe('a:1');
  });
});
