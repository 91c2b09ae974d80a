import type { Config } from '../config.js';
import type { Engine } from '../engine/engine-types.js';
import type { CliContext } from './context.js';
import { withEngine } from './with-engine.js';

/** Runs `use` with the engine of the server that carries out the command, or with one of its own. */
export async function withVoiceMaker<T>(
  context: CliContext,
  config: Config,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  return context.engine === undefined ? await withEngine(context, config, use) : await use(context.engine);
}
