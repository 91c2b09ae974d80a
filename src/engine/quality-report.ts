import type { ComponentKind } from './component-store.js';

/** Number formats that a model can be imported in; networks may keep some layers in a higher one. */
export const PRECISIONS = ['fp32', 'int8', 'int4'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** What a compiled network may lose against fp32, by every measure: 2 %. */
export const MAX_LOSS = 0.02;

/** One comparison of a network in its compiled precision with the same network in fp32. */
export interface QualityMeasure {
  /** In the field's terms: `greedy token agreement`, `per-step KL divergence`, `mel distance`, `feature cosine`. */
  readonly name: string;
  readonly value: number;
  /** 0 is no loss, 1 is all: agreement of 0.99 is a loss of 0.01. Null for a figure that is told, but decides nothing. */
  readonly loss: number | null;
  /** What `value` is over, for people: `1,204 steps of 24 sentences`. */
  readonly over: string;
}

/** What quantising a network cost. Kept in the component's manifest, shown by `timbre model inspect`. */
export interface QualityReport {
  readonly network: ComponentKind;
  /** What was asked for. */
  readonly precision: Precision;
  readonly measures: readonly QualityMeasure[];
  /** Parts that stay in a higher precision since they lost too much, with that precision: `layer 3: fp32`. */
  readonly kept: readonly string[];
}

/** The largest loss of a report's measures. */
export function worstLoss(measures: readonly QualityMeasure[]): number {
  return Math.max(0, ...measures.map((measure) => measure.loss ?? 0));
}
