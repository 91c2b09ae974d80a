import { writeFileSync } from 'node:fs';
import type { AttributeValue, Dimension, GraphConstant, GraphModel, GraphNode, GraphPort } from './graph.js';
import { Message } from './protobuf.js';
import { ELEMENT_TYPES, type Weight } from './tensor.js';
import type { WeightsFile } from './weights-file.js';

/** IR version 10 belongs to opset 21, the newest that GroupQueryAttention and 4-bit weights need. */
const IR_VERSION = 10;
const OPSETS = { '': 21, 'com.microsoft': 1 };

/** Attribute types of the standard (`AttributeProto.AttributeType`). */
const FLOAT = 1;
const INT = 2;
const STRING = 3;
const INTS = 7;

/**
 * Writes a graph as an ONNX file whose weights lie in a weights file of the same folder.
 *
 * @throws if a weight of the graph is not in `weights`.
 */
export function writeModelFile(path: string, graph: GraphModel, weights: WeightsFile | null): void {
  writeFileSync(path, encodeModel(graph, weights));
}

/** The bytes of the ONNX file; without a weights file the weights are stored inside (for small graphs and tests). */
export function encodeModel(graph: GraphModel, weights: WeightsFile | null): Uint8Array {
  const model = new Message().int(1, IR_VERSION).bytes(2, 'timbre').message(7, encodeGraph(graph, weights));
  for (const [domain, version] of Object.entries(OPSETS))
    model.message(8, new Message().bytes(1, domain).int(2, version));
  for (const [key, value] of Object.entries(graph.metadata))
    model.message(14, new Message().bytes(1, key).bytes(2, value));
  return model.toBytes();
}

function encodeGraph(graph: GraphModel, weights: WeightsFile | null): Message {
  const message = new Message();
  for (const node of graph.nodes) message.message(1, encodeNode(node));
  message.bytes(2, graph.name);
  for (const constant of graph.constants) message.message(5, encodeInline(constant));
  for (const weight of graph.weights) {
    message.message(5, weights ? encodeExternal(weight, weights) : encodeInline(inline(weight)));
  }
  for (const port of graph.inputs) message.message(11, encodePort(port));
  for (const port of graph.outputs) message.message(12, encodePort(port));
  return message;
}

function encodeNode(node: GraphNode): Message {
  const message = new Message();
  for (const input of node.inputs) message.bytes(1, input);
  for (const output of node.outputs) message.bytes(2, output);
  message.bytes(3, node.name).bytes(4, node.opType);
  for (const [name, value] of Object.entries(node.attributes)) message.message(5, encodeAttribute(name, value));
  if (node.domain !== '') message.bytes(7, node.domain);
  return message;
}

function encodeAttribute(name: string, value: AttributeValue): Message {
  const message = new Message().bytes(1, name);
  if (typeof value === 'string') return message.bytes(4, value).int(20, STRING);
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) throw new Error(`attribute ${name}=${value} is fractional: wrap it in float()`);
    return message.int(3, value).int(20, INT);
  }
  if (isInts(value)) return message.packedInts(8, value).int(20, INTS);
  return message.float(2, value.float).int(20, FLOAT);
}

function encodeInline(constant: GraphConstant): Message {
  return tensorHead(constant).bytes(9, constant.bytes);
}

function encodeExternal(weight: Weight, weights: WeightsFile): Message {
  const place = weights.places.get(weight.name);
  if (!place) throw new Error(`weight ${weight.name} is not in ${weights.fileName}`);
  const message = tensorHead(weight).int(14, 1);
  const entries = { location: weights.fileName, offset: String(place.offsetBytes), length: String(place.sizeBytes) };
  for (const [key, value] of Object.entries(entries)) message.message(13, new Message().bytes(1, key).bytes(2, value));
  return message;
}

function tensorHead(tensor: Pick<GraphConstant, 'name' | 'type' | 'shape'>): Message {
  return new Message().packedInts(1, tensor.shape).int(2, ELEMENT_TYPES[tensor.type].code).bytes(8, tensor.name);
}

function inline(weight: Weight): GraphConstant {
  const data = weight.load();
  return { ...weight, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

function encodePort(port: GraphPort): Message {
  const shape = new Message();
  for (const dim of port.dims) shape.message(1, encodeDimension(dim));
  const tensor = new Message().int(1, ELEMENT_TYPES[port.type].code).message(2, shape);
  return new Message().bytes(1, port.name).message(2, new Message().message(1, tensor));
}

function encodeDimension(dim: Dimension): Message {
  return typeof dim === 'number' ? new Message().int(1, dim) : new Message().bytes(2, dim);
}

function isInts(value: readonly number[] | { readonly float: number }): value is readonly number[] {
  return Array.isArray(value);
}
