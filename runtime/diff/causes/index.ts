/** Every cause that is tried, likelier ones first: of several that fit equally well, the first is named. Once one of a group fits, later groups are not tried. */
import { attentionCauses } from './attention.ts';
import { customCauses } from './custom.ts';
import { endCauses } from './ends.ts';
import { expertCauses } from './experts.ts';
import { feedForwardCauses } from './feed-forward.ts';
import { normCauses } from './norms.ts';
import { residualCauses } from './residual.ts';
import { rotaryCauses } from './rotary.ts';
import { permuted, weightCauses } from './weights.ts';
import type { Cause } from './types.ts';

export const causes: readonly (readonly Cause[])[] = [[...rotaryCauses, permuted], attentionCauses, normCauses, feedForwardCauses, expertCauses, customCauses, residualCauses, endCauses, weightCauses];
