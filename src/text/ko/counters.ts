import { nativeNumber, sinoNumber } from './numbers.js';

/**
 * A whole number as it is read before what follows it: counters of things take native numerals (3개 → 세), dates,
 * money, units and ranks Sino-Korean ones (20분 → 이십). `after` is the text right behind the digits.
 */
export function countedNumber(digits: string, after: string): string {
  const value = Number(digits);
  if (after.startsWith('월')) {
    if (value === 6) return '유';
    if (value === 10) return '시';
  }
  if (value === 1 && /^(?:만|천|백)/.test(after)) return '';
  if (value === 1 && after.startsWith('번째')) return '첫';
  const counter = counterOf(after);
  if (counter === null) return sinoNumber(digits);
  const limit = NATIVE_LIMITS[counter];
  if (limit !== undefined && (value > limit || value === 0)) return sinoNumber(digits);
  if (counter === '번' && isLabel(after)) return sinoNumber(digits);
  if (counter === '대' && value >= 10 && value <= 90 && value % 10 === 0 && AGE_GROUP.test(after))
    return sinoNumber(digits);
  if (counter === '대' && RANKED.test(after)) return sinoNumber(digits);
  return nativeNumber(digits);
}

/** Two neighbouring numbers below ten, said as one: 2~3일 → 이삼, 3~4개 → 서너; null where they stay apart. */
export function approximateNumber(low: string, high: string, after: string): string | null {
  const value = Number(low);
  if (low.length > 1 || Number(high) !== value + 1 || value < 1 || value > 8) return null;
  if (
    !/^(?:일(?!요)|년|개월|주|분|초|명|개|번(?!째)|배|마리|잔|병|시간|가지|사람|달|권|장|살|미터|킬로|도|회|인|점|층|천|백|만)/.test(
      after,
    )
  )
    return null;
  return counterOf(after) === null ? sinoNumber(low) + sinoNumber(high) : (APPROXIMATE[value] ?? null);
}

const APPROXIMATE = ['', '한두', '두세', '서너', '네다섯', '대여섯', '예닐곱', '일고여덟', '여덟아홉'];

/** Whether a native counter stands at the start of `after`. */
function counterOf(after: string): string | null {
  for (const counter of COUNTERS) {
    if (!after.startsWith(counter)) continue;
    return FOLLOWS.test(after.slice(counter.length)) && !NOT_COUNTED.test(after) ? counter : null;
  }
  return null;
}

/** 2번 출구 and 2번을 누르세요 name a thing; 2번 갔다 counts. */
function isLabel(after: string): boolean {
  return /^번(?:을|은|이|과|의|으로|입니|\s?(?:출구|버스|문제|게이트|창구|버튼|키|선수|타자|항목|채널|홀|국도|보기|문항|답|교향곡|트랙|레인|좌석|방|룸))/.test(
    after,
  );
}

const AGE_GROUP =
  /^대(?:\s?(?:남|여|청|초반|중반|후반|이상|이하|미만|직장|회사|부부|주부|들|의|가|는|은|와|부터|까지|에|로)|$)/;

/** 5대 그룹: the five greatest, not five vehicles. */
const RANKED =
  /^대\s?(?:그룹|기업|강국|도시|과제|뉴스|명산|원칙|의무|요소|은행|시장|재벌|종단|사망|질환|영양소|메이저|국정)/;

/** What may stand behind a counter: the end of the word, or a particle, copula or suffix. */
const FOLLOWS =
  /^(?:$|[^가-힣]|[을를은는이가와과의도만에로으부까씩째나라랑마보정밖당짜뿐꼴쯤들입였하미초간반전후여처같뒤])/;

/** Words that begin like a counter and are none. */
const NOT_COUNTED =
  /^(?:시리즈|시즌|시그마|개월|개국|개년|개사|명령|대학|대대|주년|주기|장조|통신|모델|모드|번지|벌점|방송|방향|가구|권역|살균|채널|해리|발전|사람당원|시스|시그|시그널|시도|시군|대기업|대비|배당|배정|배수)/;

/** Native counters, longer ones first. */
const COUNTERS = (
  '큰술 작은술 꼬집 켤레 군데 마리 가지 그루 모금 발짝 보루 움큼 사람 시간 번째 송이 바퀴 그릇 상자 포기 봉지 자루 조각 덩이 덩어리 스푼 숟갈 ' +
  '접시 걸음 다발 다스 토막 방울 줄기 꾸러미 곡 줄 칸 끼 달 병 잔 컵 권 개 닢 대 두 모 뭇 발 방 번 벌 살 수 술 시 쌈 정 짝 채 척 첩 축 톨 통 알 명 분 장 편 쌍 쪽 배 곳 가닥 갈래 매듭 이닝'
)
  .split(' ')
  .filter((counter) => !['분', '편', '쪽', '두', '수', '방', '정', '발', '이닝', '술', '축', '곡'].includes(counter))
  .concat(['두', '수', '방', '정', '발', '술', '축', '곡'])
  .sort((a, b) => b.length - a.length);

/** The largest number read in native numerals, where that is less than all. */
const NATIVE_LIMITS: Readonly<Record<string, number>> = {
  시: 12,
  배: 9,
  명: 19,
  시간: 99,
  달: 12,
  장: 99,
  병: 99,
  잔: 99,
  사람: 99,
  가지: 99,
  곡: 20,
  칸: 99,
  줄: 99,
  끼: 99,
  컵: 99,
  번째: 99,
  걸음: 99,
  곳: 99,
  살: 99,
};
