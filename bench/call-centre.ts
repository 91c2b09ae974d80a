/** Sentences of a call centre, the frequent ones first: greetings as they are, the rest with numbers of their own. */
export function callCentrePhrases(count: number): string[] {
  const fixed = [
    '您好，请问有什么可以帮您？',
    '请您稍等。',
    '感谢您的来电，再见。',
    '您的问题我已经记录。',
    '请问还有其他问题吗？',
    '对不起，我没有听清。',
  ];
  const open = [
    (n: number) => `您的订单尾号是${1000 + n}。`,
    (n: number) => `预计${1 + (n % 9)}月${1 + (n % 27)}号送达。`,
    (n: number) => `您的余额是${n * 7}元。`,
    (n: number) => `请按${n % 10}号键。`,
  ];
  return Array.from({ length: count }, (_, index) => fixed[index] ?? open[index % open.length]?.(index) ?? '');
}

/** Draws by Zipf's law: the k-th sentence as often as 1 / k. The same draw each time. */
export function drawByZipf(count: number, from: readonly string[]): string[] {
  const weights = from.map((_, index) => 1 / (index + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let state = 12345;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    let left = (state / 2 ** 32) * total;
    const index = weights.findIndex((weight) => {
      left -= weight;
      return left <= 0;
    });
    return from[index] ?? from[0] ?? '';
  });
}
