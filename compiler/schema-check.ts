/**
 * The schema as a function that checks a spec's values. Making it takes longer than most specs take to compile: the build puts code made
 * beforehand in this file's place (scripts/build.mjs).
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import options from '../schema/ajv.json' with { type: 'json' };
import schema from '../schema/spec.schema.json' with { type: 'json' };

export const check: ValidateFunction = new Ajv2020({ ...options, code: { optimize: false } }).compile(schema);
