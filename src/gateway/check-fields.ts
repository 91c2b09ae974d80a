import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { AppError, type ErrorCode } from '../errors.js';

/** A request whose field is wrong: dialects that name the field in their answers find it here. */
export class FieldError extends AppError {
  /** `voice_settings.speed`; empty where the request as a whole is meant. */
  readonly field: string;

  constructor(code: ErrorCode, field: string, message: string) {
    super(code, message);
    this.field = field;
  }
}

interface FieldFacts {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly FieldFacts[];
  readonly items?: FieldFacts;
  readonly properties?: Readonly<Record<string, FieldFacts>>;
  readonly additionalProperties?: boolean;
}

export interface FieldChecker<Schema extends TSchema> {
  readonly schema: Schema;
  /** The value as what the schema says; throws {@link FieldError} with `REQUEST_INVALID`. */
  check(value: unknown): Static<Schema>;
  /** Query values are text; they become what their field is, or stay as they are for `check` to complain about. */
  readQuery(query: unknown): Record<string, unknown>;
}

/**
 * Compiles the schema of an object's fields into a check whose errors say the field, what it was, and what it may be.
 *
 * @param secret fields whose text is a customer's and never part of a message.
 */
export function compileFields<Schema extends TSchema>(
  schema: Schema,
  secret: readonly string[] = [],
): FieldChecker<Schema> {
  const compiled = Compile(schema);
  // TypeBox schemas are JSON Schema objects.
  const facts = schema as FieldFacts;
  const properties = facts.properties ?? {};
  return {
    schema,
    check(value) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new FieldError(
          'REQUEST_INVALID',
          '',
          `the body is ${kindOf(value)}; expected an object such as {"text": "你好"}`,
        );
      }
      if (facts.additionalProperties === false) refuseUnknown(value, properties);
      // `Check` is a type guard for the schema's static type.
      if (compiled.Check(value)) return value as Static<Schema>;
      const path = (compiled.Errors(value)[0]?.instancePath ?? '').split('/').slice(1);
      throw fieldError(value, path, facts, secret);
    },
    readQuery: (query) => readQuery(query, properties),
  };
}

function refuseUnknown(value: object, properties: Readonly<Record<string, FieldFacts>>): void {
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(properties, name)) continue;
    const known = Object.keys(properties).join(', ');
    throw new FieldError('REQUEST_INVALID', name, `there is no field ${quote(name)}; the fields are ${known}`);
  }
}

function fieldError(value: object, path: readonly string[], schema: FieldFacts, secret: readonly string[]): FieldError {
  let facts: FieldFacts = schema;
  let seen: unknown = value;
  const known: string[] = [];
  for (const step of path) {
    const next =
      facts.properties?.[step] ?? facts.items ?? facts.anyOf?.find((option) => option.properties)?.properties?.[step];
    if (next === undefined) break;
    facts = next;
    seen = typeof seen === 'object' && seen !== null ? Reflect.get(seen, step) : undefined;
    known.push(step);
  }
  const name = known.join('.');
  if (known.length === 0 || (seen === undefined && !Object.hasOwn(value, known[0] ?? ''))) {
    const missing = Object.keys(schema.properties ?? {}).find(
      (property) => Reflect.get(value, property) === undefined && isRequired(schema, property),
    );
    if (missing !== undefined) {
      const expected = describeField(schema.properties?.[missing] ?? {});
      return new FieldError('REQUEST_INVALID', missing, `there is no ${missing}; expected ${expected}`);
    }
  }
  const isSecret = secret.includes(known[0] ?? '');
  return new FieldError(
    'REQUEST_INVALID',
    name,
    `${name || 'the request'} is ${showValue(isSecret, seen)}; expected ${describeField(facts)}`,
  );
}

function isRequired(schema: FieldFacts, property: string): boolean {
  const required: unknown = Reflect.get(schema, 'required');
  return Array.isArray(required) && required.includes(property);
}

function readQuery(query: unknown, properties: Readonly<Record<string, FieldFacts>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query ?? {})) {
    const property = properties[name] ?? {};
    const types = new Set([property.type, ...(property.anyOf ?? []).map((option) => option.type)]);
    if (typeof value !== 'string') values[name] = value;
    else if ((types.has('number') || types.has('integer')) && /^-?\d+(\.\d+)?$/.test(value))
      values[name] = Number(value);
    else if (types.has('array')) values[name] = value === '' ? [] : value.split(',');
    else if (types.has('boolean') && /^(true|1|)$/i.test(value)) values[name] = true;
    else if (types.has('boolean') && /^(false|0)$/i.test(value)) values[name] = false;
    else values[name] = value;
  }
  return values;
}

export function describeField(facts: FieldFacts): string {
  if (facts.const !== undefined) return JSON.stringify(facts.const);
  if (facts.enum !== undefined) return `one of ${facts.enum.join(', ')}`;
  if (facts.anyOf !== undefined) return facts.anyOf.map(describeField).join(', or ');
  if (facts.type === 'number') return `a number from ${facts.minimum} to ${facts.maximum}`;
  if (facts.type === 'integer') return `a whole number from ${facts.minimum} to ${facts.maximum}`;
  if (facts.type === 'boolean') return 'true or false';
  if (facts.type === 'null') return 'null';
  if (facts.type === 'array') return `a list of at most ${facts.maxItems ?? 'any number of'} entries`;
  if (facts.type === 'object') return 'an object';
  if (facts.maxLength !== undefined) return `a string of ${facts.minLength ?? 0} to ${facts.maxLength} characters`;
  return 'a string';
}

/** Numbers and short words are shown; what may be a customer's text or voice is only described. */
function showValue(isSecret: boolean, value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string' && !isSecret && value.length <= 32) return quote(value);
  return kindOf(value);
}

export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return `a string of ${value.length} characters`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export function quote(text: string): string {
  return JSON.stringify(text.length > 32 ? `${text.slice(0, 32)}…` : text);
}
