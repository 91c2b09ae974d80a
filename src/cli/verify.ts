import type { Command } from 'commander';
import { readAudioFile } from '../audio/decode.js';
import { verifyAudio } from '../audio/verify.js';
import { WATERMARK_THRESHOLD } from '../audio/watermark-detector.js';
import { type CliContext, printJson } from './context.js';

/** `timbre verify FILE`: whether an audio file says that it is made by AI. */
export function addVerifyCommand(program: Command, context: CliContext): void {
  program
    .command('verify')
    .description('look for the labels that say that audio is made by AI: metadata and watermark')
    .argument('<file>', 'wav, flac, mp3, aac, m4a, ogg or opus file')
    .option('--json', 'print what was found as JSON')
    .action(async (path: string, flags: { readonly json?: boolean }) => {
      const { label, watermark, durationSeconds } = await verifyAudio(await readAudioFile(path));
      if (flags.json) {
        printJson(context, {
          made_by_ai: watermark.found || label?.Label === '1',
          label,
          watermark: { ...watermark, threshold: WATERMARK_THRESHOLD },
          duration_ms: Math.round(durationSeconds * 1000),
        });
        return;
      }
      const said = label === null ? 'none' : `AIGC ${JSON.stringify(label)}`;
      const score = watermark.score.toFixed(1);
      context.stdout.write(`metadata: ${said}\n`);
      context.stdout.write(
        `watermark: ${watermark.found ? 'found' : 'not found'} (score ${score}; found from ${WATERMARK_THRESHOLD})\n`,
      );
    });
}
