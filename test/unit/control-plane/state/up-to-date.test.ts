/** Reading from the mirror shows what reading from the store would have shown. */
import { describe, expect, test } from 'vitest';
import { MutableClusterState } from '../../../../control-plane/state/cluster-state.ts';
import { Contact } from '../../../../control-plane/state/contact.ts';
import { upToDateState } from '../../../../control-plane/state/up-to-date.ts';
import { virtualClock } from '../../../../lib/clock-virtual.ts';
import type { GetResult } from '../../../../lib/store/store.ts';

/** A store whose answers come when told, and a mirror moved by hand. */
function scene() {
  const clock = virtualClock();
  const state = new MutableClusterState();
  const questions: { answer(revision: bigint): void; fail(): void }[] = [];
  const get = (): Promise<GetResult> =>
    new Promise((resolve, reject) => {
      questions.push({ answer: (revision) => resolve({ revision }), fail: () => reject(new Error('away')) });
    });
  const upToDate = upToDateState({ store: { get }, state, clock });
  state.replace([], 10n);
  return { clock, state, questions, upToDate };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the up-to-date state', () => {
  test('is the mirror when it has come as far as the store, at the earliest', async () => {
    const { state, questions, upToDate } = scene();
    let shown: unknown = 'nothing';
    void upToDate().then((found) => (shown = found));
    await turn();
    questions[0]!.answer(12n);
    await turn();
    expect(shown).toBe('nothing');
    state.apply([], 11n);
    await turn();
    expect(shown).toBe('nothing');
    state.apply([], 12n);
    await turn();
    expect(shown).toBe(state);
  });

  test('asks the store once for all who come while it is being asked, but not for those by the earlier answer', async () => {
    const { state, questions, upToDate } = scene();
    const first = upToDate();
    await turn();
    const later = [upToDate(), upToDate(), upToDate()];
    await turn();
    expect(questions.length).toBe(1);
    questions[0]!.answer(10n);
    expect(await first).toBe(state);
    await turn();
    expect(questions.length).toBe(2);
    let shown = 0;
    for (const one of later) void one.then(() => (shown += 1));
    questions[1]!.answer(11n);
    await turn();
    expect(shown).toBe(0);
    state.apply([], 11n);
    await turn();
    expect([shown, questions.length]).toEqual([3, 2]);
  });

  test('is none when the mirror does not get there soon, nor for a while after; then it is asked again', async () => {
    const { clock, state, questions, upToDate } = scene();
    const first = upToDate();
    await turn();
    questions[0]!.answer(12n);
    await turn();
    await clock.advance(100);
    expect(await first).toBeUndefined();
    expect(await upToDate()).toBeUndefined();
    expect(questions.length).toBe(1);
    await clock.advance(1000);
    const second = upToDate();
    await turn();
    questions[1]!.answer(10n);
    expect(await second).toBe(state);
  });

  test('is none when the store does not answer, and before there is a mirror', async () => {
    const { questions, upToDate } = scene();
    const first = upToDate();
    await turn();
    questions[0]!.fail();
    expect(await first).toBeUndefined();
    const unsynced = new MutableClusterState();
    expect(await upToDateState({ store: { get: fails }, state: unsynced, clock: scene().clock })()).toBeUndefined();
  });
});

describe('a replica that is alone', () => {
  function alone() {
    const given = scene();
    const { clock, state, questions } = given;
    const contact = new Contact();
    const told = (revision: bigint): void => contact.answered({ askedMs: clock.monotonicMs(), revision }, 0n);
    told(10n);
    const mirrored = { isSole: true };
    const get = (): Promise<GetResult> => new Promise(() => questions.push({ answer() {}, fail() {} }));
    const isSole = (): boolean => mirrored.isSole;
    const upToDate = upToDateState({ store: { get }, state, clock, alone: { contact, isSole, trustedMs: 1_000 } });
    return { ...given, contact, told, mirrored, upToDate };
  }

  test('goes by its own memory, asks again while it may, and must be answered after that', async () => {
    const { clock, state, questions, upToDate } = alone();
    expect([await upToDate(), questions.length]).toEqual([state, 0]);
    await clock.advance(600);
    expect([await upToDate(), questions.length]).toEqual([state, 1]);
    await clock.advance(401);
    let shown = false;
    void upToDate().then(() => (shown = true));
    await turn();
    expect(shown).toBe(false);
  });

  test('shows what it has told anybody', async () => {
    const { state, told, upToDate } = alone();
    told(12n);
    let shown: unknown;
    void upToDate().then((found) => (shown = found));
    state.apply([], 11n);
    await turn();
    expect(shown).toBeUndefined();
    state.apply([], 12n);
    await turn();
    expect(shown).toBe(state);
  });

  test('need not wait for what was told of others', async () => {
    const { state, contact, told, questions, upToDate } = alone();
    contact.wrote([{ kind: 'delete', key: '/gantry/pods/default/a' }], 12n);
    told(12n);
    expect(await upToDate({ key: '/gantry/pods/default/b' })).toBe(state);
    expect(await upToDate({ kindPrefix: '/gantry/nodes/' })).toBe(state);
    let shown: unknown;
    void upToDate({ kindPrefix: '/gantry/pods/' }).then((found) => (shown = found));
    await turn();
    expect([shown, questions.length]).toEqual([undefined, 0]);
    state.apply([], 12n);
    await turn();
    expect(shown).toBe(state);
  });

  test('asks when it is not, or cannot know it yet', async () => {
    const { clock, told, mirrored, questions, upToDate } = alone();
    await clock.advance(1_001);
    told(12n); // the mirror does not show by now whether another had come by then
    void upToDate();
    await turn();
    expect(questions.length).toBe(1);
    const other = alone();
    other.mirrored.isSole = false;
    void other.upToDate();
    await turn();
    expect([other.questions.length, mirrored.isSole]).toEqual([1, true]);
  });
});

const fails = (): never => {
  throw new Error('not to be asked');
};
