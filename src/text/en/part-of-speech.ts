export function partOfSpeech(tokens: readonly string[], index: number): string {
  return /^(to|will|would|can|could|should|must|may|might|not|n't|please)$/i.test(tokens[index - 1] ?? '')
    ? 'VB'
    : 'NN';
}
