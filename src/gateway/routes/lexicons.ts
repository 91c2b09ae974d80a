import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import {
  type Lexicon,
  type LexiconAnswer,
  type LexiconsAnswer,
  type LexiconVersionsAnswer,
  type PreviewLexiconAnswer,
  PreviewLexiconFields,
  ReadLexiconQuery,
  type StoreLexiconAnswer,
  StoreLexiconFields,
  StoreLexiconQuery,
} from '../../api/lexicons.js';
import { checkLexiconName, type LexiconRecord, MAX_LEXICON_BYTES } from '../../catalog/lexicons.js';
import { AppError } from '../../errors.js';
import type { ReadLexicon } from '../../jobs/engine-catalog.js';
import type { SuppliedLexiconReference } from '../../jobs/speech-queue.js';
import { requireScope } from '../../tenancy/caller.js';
import type { GatewayOptions } from '../app.js';
import { callerOf } from '../authentication.js';
import { compileFields } from '../check-fields.js';
import { openSpeech } from '../speech.js';
import { cancelWhenGone } from '../speech-reply.js';
import { checkText, chooseSeed } from '../synthesis-input.js';
import { defaultVoice, resolveVoice, voiceNamesOf, withinTime } from '../voice-directory.js';
import { audioUrl, storeSpeech } from './synthesize.js';

const ROUTE = { config: { access: 'lexicons:write' } } as const;
/** 4 MiB of a lexicon, escaped in JSON. */
const BODY_LIMIT_BYTES = 2 * MAX_LEXICON_BYTES;
/** Problems that an answer lists; a file with more has another fault. */
const MOST_PROBLEMS = 1000;

const storeFields = compileFields(StoreLexiconFields, ['entries']);
const storeQuery = compileFields(StoreLexiconQuery);
const readQuery = compileFields(ReadLexiconQuery);
const previewFields = compileFields(PreviewLexiconFields, ['text', 'content']);

interface Named {
  readonly Params: { readonly name: string };
}

/** `/v1/lexicons`: a tenant's pronunciation lexicons; what is stored is used from the next request on. */
export function registerLexiconRoutes(app: FastifyInstance, gateway: GatewayOptions): void {
  const { lexicons, catalog } = gateway;
  app.addContentTypeParser(
    ['text/csv', 'text/plain', 'application/pls+xml', 'application/xml', 'text/xml'],
    { parseAs: 'string', bodyLimit: BODY_LIMIT_BYTES },
    (_request, body, done) => done(null, body),
  );

  app.get('/v1/lexicons', ROUTE, async (request): Promise<LexiconsAnswer> => {
    const records = await lexicons.list(callerOf(request).tenantId);
    return { lexicons: records.map(renderLexicon) };
  });

  app.get<Named>('/v1/lexicons/:name/versions', ROUTE, async (request): Promise<LexiconVersionsAnswer> => {
    const records = await lexicons.versions(callerOf(request).tenantId, request.params.name);
    return { versions: records.map(renderLexicon) };
  });

  app.get<Named>('/v1/lexicons/:name', ROUTE, async (request, reply): Promise<LexiconAnswer | FastifyReply> => {
    const { version, format = 'json', language } = readQuery.check(readQuery.readQuery(request.query));
    const lexicon = await lexicons.read(callerOf(request).tenantId, request.params.name, version ?? null);
    if (format !== 'json') {
      const text = await withinTime((signal) =>
        catalog.convertLexicon(lexicon.text, format, language ?? null, { signal }),
      );
      reply.header('content-disposition', `attachment; filename="${lexicon.name}-${lexicon.version}.${format}"`);
      return reply.type(format === 'csv' ? 'text/csv; charset=utf-8' : 'application/pls+xml').send(text);
    }
    const { entries, problems } = await withinTime((signal) => catalog.readLexicon(lexicon.text, { signal }));
    return {
      name: lexicon.name,
      version: lexicon.version,
      created_at: lexicon.createdAt.toISOString(),
      entries: entries.map(({ value, ...entry }) => ({ ...entry, reading: value })),
      problems: problems.slice(0, MOST_PROBLEMS),
    };
  });

  app.put<Named>(
    '/v1/lexicons/:name',
    { ...ROUTE, bodyLimit: BODY_LIMIT_BYTES },
    async (request, reply): Promise<StoreLexiconAnswer> => {
      const { name } = request.params;
      checkLexiconName(name);
      const { skip_invalid = false, check = false } = storeQuery.check(storeQuery.readQuery(request.query));
      const text = textOf(request.body);
      const read = await withinTime((signal) => catalog.readLexicon(text, { signal }));
      const answer = { name, entries: read.entries.length, problems: read.problems.slice(0, MOST_PROBLEMS) };
      if (check) return { ...answer, version: null };
      if (!skip_invalid) requireNoProblems(read);
      const { version } = await lexicons.store(callerOf(request), name, text, read.entries.length);
      reply.code(201);
      return { ...answer, version };
    },
  );

  app.delete<Named>('/v1/lexicons/:name', ROUTE, async (request, reply) => {
    await lexicons.remove(callerOf(request), request.params.name);
    return reply.code(204).send();
  });

  app.post(
    '/v1/lexicons/preview',
    { ...ROUTE, bodyLimit: BODY_LIMIT_BYTES },
    async (request, reply): Promise<PreviewLexiconAnswer> => preview(gateway, request, reply),
  );
}

/** What is read otherwise with a lexicon, stored or not, and both sounds of the same seed. */
async function preview(
  gateway: GatewayOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<PreviewLexiconAnswer> {
  const { lexicons, catalog, config } = gateway;
  const fields = previewFields.check(request.body);
  const { text, language = 'auto', audio = true, content } = fields;
  const textCharacters = checkText(text, config.maxTextCharacters);
  const caller = callerOf(request);
  if (audio) requireScope(caller, 'speech');
  const names = voiceNamesOf(gateway, request);
  const voice = fields.speaker_id === undefined ? defaultVoice(names) : await resolveVoice(fields.speaker_id, names);
  const { tenantId } = caller;
  const tried = await triedLexicon(gateway, tenantId, fields);
  const usual = (await lexicons.usualFor(tenantId, voice)).filter(({ lexicon }) => lexicon !== tried.lexicon);
  const before = await Promise.all(
    usual.map(async (use) => ({ name: `${use.lexicon}@${use.version}`, text: await lexicons.load(use) })),
  );
  const own = { name: content === undefined ? `${tried.lexicon}@${tried.version}` : 'preview', text: tried.text };
  const { problems } = await withinTime((signal) => catalog.readLexicon(tried.text, { signal }));
  const differences = await withinTime((signal) =>
    catalog.compareReadings({ text, language, before, after: [...before, own] }, { signal }),
  );
  const sounds: string[] = [];
  if (audio) {
    const cancel = cancelWhenGone(reply, config);
    const seed = chooseSeed(fields.seed, config);
    for (const [i, suppliedLexicons] of [usual, [...usual, tried]].entries()) {
      const speech = { text, voice, language, speed: 1, seed, suppliedLexicons };
      const open = await openSpeech(gateway, {
        request,
        id: `${request.id}.${i}`,
        speech,
        textCharacters,
        output: { encoding: 'wav', layout: 'file' },
        cancel,
        repeatable: false,
      });
      const { stored } = await storeSpeech(open, gateway.audioStore);
      sounds.push(audioUrl(config, request, stored));
    }
    cancel.done();
  }
  return {
    differences: differences.map(({ written, ...rest }) => ({ text: written, ...rest })),
    problems: problems.slice(0, MOST_PROBLEMS),
    before_audio_url: sounds[0] ?? null,
    after_audio_url: sounds[1] ?? null,
  };
}

/** The lexicon that a preview is about: a stored version, or what it brings along. */
async function triedLexicon(
  { lexicons }: GatewayOptions,
  tenantId: string,
  { name, version, content }: { readonly name?: string; readonly version?: number; readonly content?: string },
): Promise<SuppliedLexiconReference & { readonly text: string }> {
  if (content === undefined) {
    if (name === undefined) {
      throw new AppError('REQUEST_INVALID', 'expected name, of a stored lexicon, or content: CSV or PLS');
    }
    const { text, digest, ...stored } = await lexicons.read(tenantId, name, version ?? null);
    return { tenant: tenantId, lexicon: name, version: stored.version, digest, text };
  }
  const digest = createHash('sha256').update(content).digest('hex');
  return { tenant: tenantId, lexicon: name ?? 'preview', version: 0, digest, text: content };
}

/** The file of a body; JSON entries as CSV, one a line, so that a problem's line is the number of the entry. */
function textOf(body: unknown): string {
  if (typeof body === 'string') return body;
  const { entries } = storeFields.check(body);
  const quote = (field: string): string => `"${field.replaceAll('"', '""')}"`;
  return entries
    .map(({ word, language, alphabet, reading }) =>
      [word, language ?? '', alphabet ?? '', reading].map(quote).join(','),
    )
    .join('\n');
}

/** Throws `LEXICON_INVALID` naming the lines. */
function requireNoProblems({ problems }: ReadLexicon): void {
  if (problems.length === 0) return;
  const shown = problems.slice(0, 20).map(({ line, message }) => `line ${line}: ${message}`);
  const more = problems.length > shown.length ? ` … and ${problems.length - shown.length} more` : '';
  throw new AppError(
    'LEXICON_INVALID',
    `the lexicon has ${problems.length} entries that cannot be used: ${shown.join('; ')}${more}; correct them, or send ` +
      'skip_invalid=true to leave them out (check=true only says what is wrong)',
  );
}

function renderLexicon({ name, version, entries, digest, createdAt, createdBy }: LexiconRecord): Lexicon {
  return { name, version, entries, digest, created_at: createdAt.toISOString(), created_by: createdBy };
}
