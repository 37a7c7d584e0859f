/** The whole cluster under faults; a seed that fails is replayed with the command it names. */
import { testSeeds } from './seeds.ts';

testSeeds(1, 150);
