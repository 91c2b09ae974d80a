import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import type { ModelSpec } from '../../src/models/model-spec.js';
import { buildFlow } from '../../src/models/sovits/flow.js';
import { buildGenerator } from '../../src/models/sovits/generator.js';
import { buildTextEncoder, buildTokenEncoder } from '../../src/models/sovits/text-encoder.js';
import type { GraphModel, GraphNode } from '../../src/onnx/graph.js';

/**
 * SoVITS as ONNX ports have it: the whole sentence in one float32 graph, convolutions over one axis as an exporter
 * writes them. The parts are our own graphs end to end, which are smaller than an exporter's: the race is won against
 * them, not against bloat. `text`, `codes`, `ge`, `left`, `right`, `fraction`, `noise` → `wave`.
 */
export function buildNaiveSovits(checkpoint: Checkpoint, spec: ModelSpec): GraphModel {
  return joinGraphs('naive-sovits', [
    buildTextEncoder(checkpoint, spec),
    buildTokenEncoder(checkpoint, spec),
    buildFlow(checkpoint, spec),
    buildGenerator(checkpoint, spec, 'whole', { convolution: '1d' }),
  ]);
}

/** One graph of several: an input named as an earlier graph's output is that output, others of one name are one input. */
function joinGraphs(name: string, parts: readonly GraphModel[]): GraphModel {
  const produced = new Set<string>();
  const inputs = new Map<string, GraphModel['inputs'][number]>();
  const weights = new Map<string, GraphModel['weights'][number]>();
  const nodes: GraphNode[] = [];
  const constants: GraphModel['constants'][number][] = [];
  for (const [index, part] of parts.entries()) {
    const shared = new Set([...part.inputs, ...part.outputs, ...part.weights].map((entry) => entry.name));
    const own = (value: string): string => (value === '' || shared.has(value) ? value : `${index}:${value}`);
    for (const input of part.inputs) if (!produced.has(input.name)) inputs.set(input.name, input);
    for (const weight of part.weights) weights.set(weight.name, weight);
    for (const constant of part.constants) constants.push({ ...constant, name: own(constant.name) });
    for (const node of part.nodes) {
      nodes.push({ ...node, name: own(node.name), inputs: node.inputs.map(own), outputs: node.outputs.map(own) });
    }
    for (const output of part.outputs) produced.add(output.name);
  }
  const outputs = parts.at(-1)?.outputs ?? [];
  return {
    name,
    inputs: [...inputs.values()],
    outputs,
    nodes,
    constants,
    weights: [...weights.values()],
    metadata: {},
  };
}
