// Compiles the WebAssembly of src/ (AssemblyScript in folders called assembly/) into the data/ folder of who runs it.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { main } from 'assemblyscript/asc';

export const KERNELS = [
  { source: 'src/engine/kernels/assembly/step.ts', module: 'src/engine/data/step.wasm' },
  { source: 'src/audio/assembly/watermark.ts', module: 'src/audio/data/watermark.wasm' },
] as const;

/** Throws with the compiler's words where it does not compile. */
export async function compileKernel(source: string, outFile: string): Promise<void> {
  const config = source.replace(/[^/]*$/, 'asconfig.json');
  const { error, stderr } = await main([source, '--config', config, '--outFile', outFile]);
  if (error) throw new Error(`${source} does not compile: ${stderr.toString()}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { source, module } of KERNELS) {
    await compileKernel(source, module);
    process.stdout.write(`${module}: ${readFileSync(module).length} bytes\n`);
  }
}
