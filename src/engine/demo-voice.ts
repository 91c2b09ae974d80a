import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine, ImportProgress, SamplingOptions } from './engine-types.js';

/** The model that comes with the repository, and its voices. */
export const DEMO_MODEL = 'demo';
export const DEMO_VOICE = 'demo';

interface DemoVoice {
  readonly name: string;
  readonly recording: string;
  readonly language: 'zh' | 'en';
  readonly transcript: string;
  /** The demo model speaks more clearly without the recording as prompt; its card has the figures. */
  readonly promptFree: boolean;
}

interface DemoDescription {
  readonly sampling: SamplingOptions;
  readonly voices: readonly DemoVoice[];
}

/** The folder of the demo model's official-format files, or null where the installation has none. */
export function demoVoiceFolder(): string | null {
  // Beside src/ in a checkout, beside dist/ in an installation.
  const folder = join(dirname(fileURLToPath(import.meta.url)), '../../demo-voice');
  return existsSync(join(folder, 'demo-voice.json')) ? folder : null;
}

/** Imports the demo model and enrols its voices like any others, as far as the store does not have them. */
export async function ensureDemoVoice(
  engine: Engine,
  folder: string,
  onProgress: (progress: ImportProgress) => void = () => {},
): Promise<void> {
  const description = JSON.parse(readFileSync(join(folder, 'demo-voice.json'), 'utf8')) as DemoDescription;
  await engine.importModel(
    {
      name: DEMO_MODEL,
      paths: [join(folder, 's1.ckpt'), join(folder, 's2.pth'), join(folder, 'token-encoder')],
      sampling: description.sampling,
      replace: true,
    },
    { onProgress },
  );
  for (const voice of description.voices) {
    await engine.enrolVoice({
      name: voice.name,
      recordings: [{ path: join(folder, voice.recording) }],
      transcript: voice.promptFree ? null : voice.transcript,
      language: voice.language,
      model: DEMO_MODEL,
      replace: true,
    });
  }
}
