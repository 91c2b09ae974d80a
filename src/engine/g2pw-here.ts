import type { PolyphonePredictor } from '../text/polyphones.js';
import { g2pwPredictor, openG2pwNetwork, readG2pw, runG2pw } from './g2pw.js';
import { openRuntime } from './onnxruntime.js';

/** A model of g2pW on this thread, for commands that read a text and end. Throws `CONFIG_INVALID`. */
export function g2pwHere(folder: string): PolyphonePredictor {
  const model = readG2pw(folder);
  const session = openG2pwNetwork(openRuntime(), model.path);
  return g2pwPredictor(model, async (call) => runG2pw(session, call));
}
