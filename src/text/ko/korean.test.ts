import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSymbol } from '../symbols.js';
import { koreanPhonemes, normalizeKorean } from './korean.js';

/** Phonemes run together; a space stands for 空. */
function spoken(text: string): string {
  return koreanPhonemes(text).phonemes.join('').replaceAll('空', ' ').replace(/\.$/, '');
}

describe('Korean pronunciation', () => {
  it.each([
    ['옷이', 'ㅇㅗㅅㅣ', 'liaison'],
    ['값이', 'ㄱㅏㅂㅆㅣ', 'liaison of two codas'],
    ['닭이', 'ㄷㅏㄹㄱㅣ', 'liaison of two codas'],
    ['좋아', 'ㅈㅗㅇㅏ', 'ㅎ is silent before a vowel'],
    ['많이', 'ㅁㅏㄴㅣ', 'ㄶ before a vowel'],
    ['놓고', 'ㄴㅗㅋㅗ', 'aspiration'],
    ['입학', 'ㅇㅣㅍㅏㄱ', 'aspiration'],
    ['먹는', 'ㅁㅓㅇㄴㅡㄴ', 'nasalisation'],
    ['십리', 'ㅅㅣㅁㄴㅣ', 'nasalisation of both'],
    ['신라', 'ㅅㅣㄹㄹㅏ', 'lateralisation'],
    ['설날', 'ㅅㅓㄹㄹㅏㄹ', 'lateralisation'],
    ['담력', 'ㄷㅏㅁㄴㅣㅓㄱ', 'ㄹ after ㅁ'],
    ['국밥', 'ㄱㅜㄱㅃㅏㅂ', 'tensing'],
    ['굳이', 'ㄱㅜㅈㅣ', 'palatalisation'],
    ['같이', 'ㄱㅏㅊㅣ', 'palatalisation'],
    ['닫혔다', 'ㄷㅏㅊㅓㄷㄸㅏ', 'palatalisation with ㅎ'],
    ['맏형', 'ㅁㅏㅌㅣㅓㅇ', 'aspiration in a compound'],
    ['숨을 들이', 'ㅅㅜㅁㅡㄹ ㄷㅡㄹㅣ', 'the particle after a noun like a stem'],
    ['하셨을 경우', 'ㅎㅏㅅㅣㅓㅆㅡㄹ ㄲㅣㅓㅇㅇㅜ', 'past -을'],
    ['꽃잎', 'ㄲㅗㄴㄴㅣㅂ', 'ㄴ-insertion'],
    ['식용유', 'ㅅㅣㄱㅣㅗㅇㄴㅣㅜ', 'ㄴ-insertion'],
    ['밟는', 'ㅂㅏㅁㄴㅡㄴ', '밟- keeps ㅂ'],
    ['밟아', 'ㅂㅏㄹㅂㅏ', '밟- before a vowel'],
    ['넓네', 'ㄴㅓㄹㄹㅔ', 'ㄼ before ㄴ'],
    ['여덟 명', 'ㅇㅣㅓㄷㅓㄹ ㅁㅣㅓㅇ', 'ㄼ before ㅁ'],
    ['읽고', 'ㅇㅣㄹㄲㅗ', 'ㄺ of a stem before ㄱ'],
    ['닭고기', 'ㄷㅏㄱㄲㅗㄱㅣ', 'ㄺ of a noun before ㄱ'],
    ['앉다', 'ㅇㅏㄴㄸㅏ', 'stem in ㄵ'],
    ['참습니다', 'ㅊㅏㅁㅆㅡㅁㄴㅣㄷㅏ', 'stem in ㅁ'],
    ['신발을 신고', 'ㅅㅣㄴㅂㅏㄹㅡㄹ ㅅㅣㄴㄲㅗ', 'a stem told by its object'],
    ['경찰에 신고', 'ㄱㅣㅓㅇㅊㅏㄹㅔ ㅅㅣㄴㄱㅗ', 'the noun 신고'],
    ['아이를 안고', 'ㅇㅏㅇㅣㄹㅡㄹ ㅇㅏㄴㄲㅗ', 'a stem in ㄴ'],
    ['열 사람', 'ㅇㅣㅓㄹ ㅅㅏㄹㅏㅁ', 'a numeral in ㄹ'],
    ['목적을 정확히', 'ㅁㅗㄱㅉㅓㄱㅡㄹ ㅈㅓㅇㅎㅗㅏㅋㅣ', 'the particle after a noun like a stem'],
    ['참고 자료', 'ㅊㅏㅁㄱㅗ ㅈㅏㄹㅣㅗ', 'the noun 참고'],
    ['늦었어', 'ㄴㅡㅈㅓㅆㅓ', 'ㅈ moves as it is'],
    ['끝에', 'ㄲㅡㅌㅔ', 'ㅌ moves as it is'],
    ['디귿이', 'ㄷㅣㄱㅡㅅㅣ', 'a letter name'],
    ['희망', 'ㅎㅣㅁㅏㅇ', 'ㅢ after a consonant'],
    ['의사', 'ㅇㅡㅣㅅㅏ', 'ㅢ on its own'],
    ['가져', 'ㄱㅏㅈㅓ', '져'],
    ['할 수', 'ㅎㅏㄹ ㅆㅜ', 'a bound noun after -ㄹ'],
    ['먹을 것', 'ㅁㅓㄱㅡㄹ ㄲㅓㄷ', 'a bound noun after -을'],
    ['밥을 지어', 'ㅂㅏㅂㅡㄹ ㅈㅣㅇㅓ', 'the particle 을 tenses nothing'],
    ['오늘 밤', 'ㅇㅗㄴㅡㄹ ㅂㅏㅁ', 'a noun in ㄹ tenses nothing'],
    ['못 해', 'ㅁㅗ ㅌㅐ', 'across a space'],
    ['맛없는', 'ㅁㅏㄷㅓㅁㄴㅡㄴ', 'a word behind a coda'],
    ['맛없어', 'ㅁㅏㄷㅓㅂㅆㅓ', 'a word behind a coda'],
    ['첫아이', 'ㅊㅓㄷㅏㅇㅣ', 'a word behind 첫'],
    ['첫인상', 'ㅊㅓㄷㅣㄴㅅㅏㅇ', 'a word behind 첫'],
    ['헛웃음', 'ㅎㅓㄷㅜㅅㅡㅁ', 'a word behind 헛'],
    ['물고기', 'ㅁㅜㄹㄲㅗㄱㅣ', 'a compound'],
    ['표현력', 'ㅍㅣㅗㅎㅣㅓㄴㄴㅣㅓㄱ', 'a suffix that keeps ㄴ'],
    ['갈수록', 'ㄱㅏㄹㅆㅜㄹㅗㄱ', 'an ending on -ㄹ'],
  ])('reads %s as %s (%s)', (text, expected) => {
    expect(spoken(text)).toBe(expected);
  });

  it('closes a text that ends in a bare jamo with a full stop', () => {
    expect(koreanPhonemes('네').phonemes).toEqual(['ㄴ', 'ㅔ', '.']);
    expect(koreanPhonemes('네!').phonemes).toEqual(['ㄴ', 'ㅔ', '!']);
  });

  it('reads a space as 空 and what has no sound as 停', () => {
    expect(koreanPhonemes('가 "漢"').phonemes).toEqual(['ㄱ', 'ㅏ', '空', '停', '停', '停']);
  });

  it('gives nothing for nothing', () => {
    expect(koreanPhonemes('')).toMatchObject({ normalizedText: '', phonemes: [], word2ph: null });
  });

  it('reads decomposed Hangul like composed Hangul', () => {
    const { units, ...composed } = koreanPhonemes('한국어');
    expect(koreanPhonemes('한국어'.normalize('NFD'))).toMatchObject(composed);
    expect(units.map(({ start, end }) => [start, end])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
      [3, 3],
    ]);
  });
});

describe('Korean numbers and letters', () => {
  it.each([
    ['사과 3개', '사과 세개'],
    ['20살', '스무살'],
    ['2알씩', '두알씩'],
    ['소금 1작은술', '소금 한작은술'],
    ['혈압은 135/85mmHg', '혈압은 백삼십오에 팔십오수은주밀리미터'],
    ['200ms에서 50ms로', '이백밀리초에서 오십밀리초로'],
    ['4.1~4.9% 수준', '사점일에서 사점구퍼센트 수준'],
    ['3-1로 이겼다', '삼 대 일로 이겼다'],
    ['3대 2로 역전승했다', '삼 대 이로 역전승했다'],
    ['1번, 다시 들으시려면 0번을 눌러', '일번, 다시 들으시려면 영번을 눌러'],
    ['하루 3번, 식후', '하루 세번, 식후'],
    ['2024-1008의', '이공이사-일공공팔의'],
    ['본관 3F', '본관 삼층'],
    ['ㅋㅋㅋㅋ 진짜 ㅇㅋ ㅠㅠ', '크크크 진짜 오케이 흑흑'],
    ['2시 30분', '두시 삼십분'],
    ['14시', '십사시'],
    ['14:30', '십사시 삼십분'],
    ['3시간', '세시간'],
    ['2번째', '두번째'],
    ['1번째', '첫번째'],
    ['2번 갔다', '두번 갔다'],
    ['2번 출구', '이번 출구'],
    ['128명', '백이십팔명'],
    ['5명', '다섯명'],
    ['63층', '육십삼층'],
    ['2024년 6월 10일', '이천이십사년 유월 십일'],
    ['2024-10-05', '이천이십사년 시월 오일'],
    ['15,000원', '만오천원'],
    ['1억 2000만 원', '일억 이천만 원'],
    ['$50', '오십달러'],
    ['98.6퍼센트', '구십팔점육퍼센트'],
    ['10%', '십퍼센트'],
    ['010-1234-5678', '공일공-일이삼사-오육칠팔'],
    ['5km', '오킬로미터'],
    ['3~5개', '세개에서 다섯개'],
    ['2~3일', '이삼일'],
    ['3~4개', '서너개'],
    ['2배로', '두배로'],
    ['5대 그룹', '오대 그룹'],
    ['주문 번호는 20240512입니다', '주문 번호는 이공이사공오일이입니다'],
    ['10~20%', '십에서 이십퍼센트'],
    ['-5도', '영하 오도'],
    ['3/4', '사분의 삼'],
    ['3:2', '삼 대 이'],
    ['3대2로', '삼 대 이로'],
    ['점수는 21-19', '점수는 이십일 대 십구'],
    ['3×4=12', '삼 곱하기 사는 십이'],
    ['20대 여성', '이십대 여성'],
    ['버전 1.2.3', '버전 일점이점삼'],
    ['KTX', '케이티엑스'],
    ['ａ１', '에이일'],
    ['a@b.com', '에이 골뱅이 비 점 시오엠'],
  ])('reads %s as %s', (text, expected) => {
    expect(normalizeKorean(text)).toBe(expected);
  });

  it('leaves no digit and no Latin letter', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9A-Za-z,.:~/%년월개시번대만원 -]{0,40}$/), (text) => {
        expect(normalizeKorean(text)).not.toMatch(/[0-9A-Za-z]/);
      }),
    );
  });
});

describe('any text', () => {
  it('never throws and gives only symbols of the v2 table', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        for (const phoneme of koreanPhonemes(text).phonemes) expect(isSymbol(phoneme, 'v2')).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('takes lone surrogates', () => {
    expect(koreanPhonemes('가\ud800나').phonemes).toEqual(['ㄱ', 'ㅏ', '停', 'ㄴ', 'ㅏ', '.']);
  });

  it.each([
    ['글', '글'],
    ['1', '1'],
    ['1.', '1.'],
    ['1-', '1-'],
    ['a@', 'a@'],
    ['a.', 'a.'],
    ['을 ', '을 '],
    [' ', ' '],
  ])('takes time in proportion to the length of %j repeated', (unit) => {
    const timeMs = (count: number) => {
      const text = unit.repeat(count);
      // Processor time, which other programs on the machine do not lengthen.
      const start = process.cpuUsage();
      koreanPhonemes(text);
      return process.cpuUsage(start).user / 1000;
    };
    timeMs(2000);
    expect(timeMs(20_000)).toBeLessThan(2000);
  });
});
