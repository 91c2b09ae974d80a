/** Gaussian mixtures with diagonal covariances, `components` a state; arrays are (states, components[, width]). */
export interface Mixtures {
  readonly states: number;
  readonly components: number;
  readonly width: number;
  readonly means: Float32Array;
  /** Logarithms of the standard deviations. */
  readonly logDeviations: Float32Array;
  /** Logarithms of the mixture weights. */
  readonly logWeights: Float32Array;
}

/** Scores frames; holds the tables that make it fast. */
export interface MixtureScorer {
  readonly states: number;
  /** Log likelihood of a frame (its values begin at `offset`) in a state, by the likeliest component. */
  score(state: number, features: Float32Array, offset: number): number;
  /** The likeliest component. */
  component(state: number, features: Float32Array, offset: number): number;
}

export function mixtureScorer(mixtures: Mixtures): MixtureScorer {
  const { states, components, width, means, logDeviations, logWeights } = mixtures;
  const halfPrecisions = Float32Array.from(logDeviations, (value) => 0.5 * Math.exp(-2 * value));
  const constants = Float32Array.from({ length: states * components }, (_, index) => {
    let sum = logWeights[index]! - 0.5 * width * Math.log(2 * Math.PI);
    for (let d = 0; d < width; d++) sum -= logDeviations[index * width + d]!;
    return sum;
  });
  let best = 0;
  const score = (state: number, features: Float32Array, offset: number): number => {
    let highest = -Infinity;
    const end = (state + 1) * components;
    for (let component = state * components; component < end; component++) {
      let value = constants[component]!;
      const row = component * width;
      for (let d = 0; d < width; d++) {
        const difference = features[offset + d]! - means[row + d]!;
        value -= difference * difference * halfPrecisions[row + d]!;
      }
      if (value > highest) {
        highest = value;
        best = component;
      }
    }
    return highest;
  };
  return {
    states,
    score,
    component(state, features, offset) {
      score(state, features, offset);
      return best - state * components;
    },
  };
}
