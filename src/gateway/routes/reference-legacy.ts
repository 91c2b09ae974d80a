import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LegacyTtsFields } from '../../api/reference.js';
import { AppError } from '../../errors.js';
import { compileFields } from '../check-fields.js';
import { toAppError } from '../error-answers.js';
import {
  isMissing,
  languageOf,
  modelNamed,
  REFERENCE_CONFIG,
  type ReferenceGateway,
  refuse,
  refuseFields,
  speakReference,
} from './reference.js';

const fields = compileFields(LegacyTtsFields, ['text', 'prompt_text', 'refer_wav_path']);

/** The languages of the older server, by the names of its interface and by its codes. */
const LANGUAGES: Readonly<Record<string, string>> = {
  中文: 'all_zh',
  粤语: 'all_yue',
  英文: 'en',
  日文: 'all_ja',
  韩文: 'all_ko',
  中英混合: 'zh',
  粤英混合: 'yue',
  日英混合: 'ja',
  韩英混合: 'ko',
  多语种混合: 'auto',
  '多语种混合(粤语)': 'auto_yue',
};

/** The older server's `/`, `/change_refer` and `/set_model`. */
export function registerLegacyRoutes(app: FastifyInstance, reference: ReferenceGateway): void {
  const config = REFERENCE_CONFIG;
  app.post('/', { config }, (request, reply) => answer(reference, request, reply, request.body ?? {}));
  app.get('/', { config, exposeHeadRoute: false }, (request, reply) =>
    answer(reference, request, reply, fields.readQuery(request.query)),
  );

  const changeRefer = async (request: FastifyRequest, reply: FastifyReply) => {
    const values = bodyOrQuery(request);
    const [path, text, language] = ['refer_wav_path', 'prompt_text', 'prompt_language'].map((name) => values[name]);
    if (!isText(path) || !isText(text) || !isText(language)) {
      return refuse(reply, { code: 400, message: '缺少任意一项以下参数: "path", "text", "language"' });
    }
    reference.stateOf(request).refer = { path, text, language };
    return { code: 0, message: 'Success' };
  };
  app.get('/change_refer', { config }, changeRefer);
  app.post('/change_refer', { config }, changeRefer);

  const setModel = async (request: FastifyRequest, reply: FastifyReply) => {
    const { gpt_model_path: gpt, sovits_model_path: sovits } = bodyOrQuery(request);
    try {
      if (!isText(gpt) || !isText(sovits)) {
        throw new AppError('REQUEST_INVALID', 'gpt_model_path and sovits_model_path are both required');
      }
      // What was imported under one name are both halves of it.
      const [model, other] = [await modelNamed(reference.gateway, gpt), await modelNamed(reference.gateway, sovits)];
      if (model !== other) {
        const what = `the paths name two models, "${model}" and "${other}"`;
        throw new AppError('REQUEST_INVALID', `${what}; import both files under one name: timbre model import`);
      }
      reference.stateOf(request).model = model;
      return { code: 0, message: 'Success' };
    } catch (error) {
      return refuse(reply, { code: 400, message: toAppError(error).message });
    }
  };
  app.get('/set_model', { config }, setModel);
  app.post('/set_model', { config }, setModel);
}

async function answer(reference: ReferenceGateway, request: FastifyRequest, reply: FastifyReply, values: unknown) {
  let given: LegacyTtsFields;
  try {
    given = fields.check(values);
  } catch (error) {
    return refuseFields(reply, error);
  }
  let path = given.refer_wav_path;
  let promptText = given.prompt_text;
  let promptLanguage = given.prompt_language;
  if (isMissing(path) || isMissing(promptText) || isMissing(promptLanguage)) {
    const { refer } = reference.stateOf(request);
    if (refer === null) return refuse(reply, { code: 400, message: '未指定参考音频且接口无预设' });
    path = refer.path;
    promptText = refer.text;
    promptLanguage = refer.language;
  }
  // The older server cuts at the marks it is given; ours cuts at all of them or at sentence ends.
  const cutsAtMarks = !isMissing(given.cut_punc);
  return await speakReference(reference, request, reply, {
    text: given.text ?? '',
    language: legacyLanguage(given.text_language ?? ''),
    referencePath: path,
    auxiliaryPaths: given.inp_refs === undefined ? [] : [given.inp_refs].flat(),
    promptText,
    promptLanguage: legacyLanguage(promptLanguage),
    topK: given.top_k ?? 15,
    topP: given.top_p ?? 1,
    temperature: given.temperature ?? 1,
    repetitionPenalty: 1.35,
    speed: given.speed ?? 1,
    seed: -1,
    splitMethod: cutsAtMarks ? 'cut5' : 'sentence',
    pauseSeconds: 0.3,
    encoding: 'wav',
    contentType: 'audio/wav',
    stream: false,
  });
}

function legacyLanguage(name: string) {
  return languageOf(LANGUAGES[name] ?? name);
}

function bodyOrQuery(request: FastifyRequest): Record<string, unknown> {
  const { body, query } = request;
  return { ...(query as object), ...(typeof body === 'object' && body !== null ? body : {}) };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
