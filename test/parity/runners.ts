import { runAudioCase } from './audio.js';
import { runEndToEndCase } from './e2e.js';
import type { CaseRunner } from './harness.js';
import { runHubertCase } from './hubert.js';
import { runPostCase } from './post.js';
import { runRobertaCase } from './roberta.js';
import { runSovitsCase } from './s2.js';
import { runSpeakerCase } from './speaker.js';
import { runT2sCase } from './t2s.js';

/** How each family of cases (the first part of a case's name) is run. */
export const RUNNERS: Readonly<Record<string, CaseRunner>> = {
  t2s: runT2sCase,
  s2: runSovitsCase,
  hubert: runHubertCase,
  roberta: runRobertaCase,
  speaker: runSpeakerCase,
  audio: runAudioCase,
  post: runPostCase,
  e2e: runEndToEndCase,
};
