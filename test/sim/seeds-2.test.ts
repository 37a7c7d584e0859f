/** As seeds-1.test.ts. */
import { testSeeds } from './seeds.ts';

testSeeds(151, 300);
