/**
 * How tests translate guest code. `RINGSIDE_TRANSLATION=eager npm run test:unit` repeats them with a region for everything that runs, `random`
 * with regions that come and go: the results must be the same.
 */
import { regionPolicies, type TranslationMode } from '../../src/vmm/translate/regions';

function fromEnvironment(): TranslationMode {
  const wanted = process.env.RINGSIDE_TRANSLATION ?? 'adaptive';
  if (wanted in regionPolicies) return wanted as TranslationMode;
  throw new Error(`RINGSIDE_TRANSLATION is ${wanted}; it has to be one of ${Object.keys(regionPolicies).join(', ')}`);
}

export const translationUnderTest = fromEnvironment();
