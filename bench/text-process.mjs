// One measurement of bench/text.ts in a fresh process: text-process.mjs cold|warm|document COMPILED_FOLDER
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [what, folder] = process.argv.slice(2);
const began = performance.now();
const cpuBegan = process.cpuUsage();
const { readText, textToPhonemes } = await import(pathToFileURL(join(folder, 'text', 'frontend.js')).href);

/** Ordinary sentences of 30 characters, each said once. */
const WORDS =
  '我们 公司 产品 客户 服务 今天 明天 下午 会议 北京 上海 银行 学校 老师 学生 问题 时间 系统 数据 语音 合成 技术 发展 市场 经济 ' +
  '需要 可以 已经 正在 认为 希望 提供 使用 完成 开始 进行 支持 选择 重要 方便 快速 安全 非常 比较 特别 一起 继续 重新 了解 研究';
const words = WORDS.split(' ');
function sentence(n) {
  let text = '';
  for (let i = 0; [...text].length < 29; i++) {
    text += words[(n * 31 + i * i * 7 + i * 13) % words.length];
    if (i === 6) text += '，';
  }
  return `${[...text].slice(0, 29).join('')}。`;
}

async function read(text, language = 'zh') {
  return textToPhonemes(text, { language, symbols: 'v2' });
}

function print(figures) {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

function resident() {
  if (process.platform !== 'linux') return process.memoryUsage().rss / 2 ** 20;
  return Number(/^Rss:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1] ?? 0) / 1024;
}

if (what === 'cold') {
  await read('今天天气很好，Hello world.');
  const { user, system } = process.cpuUsage(cpuBegan);
  print({ ms: performance.now() - began, cpu: (user + system) / 1000 });
} else if (what === 'warm') {
  for (let i = 0; i < 500; i++) await read(sentence(i));
  const times = [];
  for (let i = 500; i < 2500; i++) {
    const text = sentence(i);
    const before = performance.now();
    await read(text);
    times.push(performance.now() - before);
  }
  times.sort((a, b) => a - b);
  print({ median: times[1000], p99: times[1980] });
} else {
  const samples = {
    zh: '你好，世界',
    en: 'Hello there, world',
    ko: '안녕하세요, 여러분',
    yue: '你哋好嗎，大家',
    ja: 'こんにちは、皆さん',
  };
  for (const [language, text] of Object.entries(samples)) {
    // Languages that this build does not speak are not measured.
    await read(text, language).catch(() => {});
  }
  for (let i = 0; i < 200; i++) await read(sentence(i));
  const mixed = 'It costs $3.50 on May 20, 2024. 한국어 문장이에요. ';
  let document = '';
  for (let i = 0; document.length < 100_000; i++) document += sentence(i) + (i % 9 === 0 ? mixed : '');
  document = document.slice(0, 100_000);
  // As a server that has read other texts before.
  for await (const item of readText(document.slice(0, 5000), { language: 'auto', symbols: 'v2', method: 'sentence' }))
    void item;
  const before = performance.now();
  const items = readText(document, { language: 'auto', symbols: 'v2', method: 'sentence' });
  const { value } = await items.next();
  await textToPhonemes(value.text, { language: 'auto', symbols: 'v2' });
  const first = performance.now() - before;
  const atFirst = resident();
  let sentences = 1;
  let most = resident();
  for await (const item of items) {
    await textToPhonemes(item.text, { language: 'auto', symbols: 'v2' });
    if (++sentences % 500 === 0) most = Math.max(most, resident());
  }
  print({
    'resident at the first sentence, MB': atFirst,
    first,
    sentences,
    resident: Math.max(most, resident()),
    'whole document, ms': performance.now() - before,
  });
}
