/** Pure: what a test run comes to. */

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** What failed, a line each: where, and how its message begins. */
  readonly failures: readonly string[];
}

/** The parts of vitest's JSON report that are counted. */
export interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    /** The file. */
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[] | null;
    }[];
  }[];
}

const longestMessage = 300;

/** A file that cannot be loaded, and an error outside of every test, each count as a failure. */
export function tallyOf(report: Report | undefined, succeeded: boolean): Tally {
  if (!report) return failedAs('vitest ended before it could write its report');
  const failures = report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0) return status === 'failed' ? [line(name, message)] : [];
    return failed.map(({ fullName, failureMessages }) => line(`${name} > ${fullName}`, failureMessages?.[0]));
  });
  if (failures.length === 0 && !succeeded) failures.push('an error outside of every test; see above');
  return { passed: report.numPassedTests, failed: failures.length, failures };
}

export function failedAs(failure: string): Tally {
  return { passed: 0, failed: 1, failures: [failure] };
}

export function total(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, tally) => sum + tally.passed, 0),
    failed: tallies.reduce((sum, tally) => sum + tally.failed, 0),
    failures: tallies.flatMap(({ failures }) => failures),
  };
}

function line(where: string, message = ''): string {
  const [withoutStack = ''] = message.split('\n    at ');
  return `${where}: ${withoutStack.replaceAll(/\s+/g, ' ').slice(0, longestMessage)}`;
}
