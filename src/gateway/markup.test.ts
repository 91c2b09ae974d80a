import { expect, it } from 'vitest';
import { markupOf } from './markup.js';

it.each([
  ['<speak>今天<break time="1s"/>好。</speak>', '今天好。'],
  ['<?xml version="1.0"?><speak a=\'1 > 0\' b="x">a &lt; b</speak>', 'a &lt; b'],
  ['<speak>a<!-- not <b>said</b> -->b<![CDATA[1 < 2 <b>]]>c </speak>', 'ab1 < 2 <b>c '],
  ['<speak><metadata>who <b>made</b> it</metadata>hello<desc>a bell</desc> you<meta name="x"/></speak>', 'hello you'],
  ['<speak>a<meta name="x"><metadata>b</metadata></meta >c<!-- > -->d<? > ?></speak>', 'acd'],
  ['<speak></speak>', ''],
])('finds what is text in %s', (document, text) => {
  const markup = markupOf(document);
  expect([...document].filter((_, i) => markup[i] === 0).join('')).toBe(text);
});
