export async function scenarioTrace(_name: string): Promise<string> {
  throw new Error('no scenarios yet');
}
