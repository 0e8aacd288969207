/**
 * The schemas as functions that check the values of a spec and of a test file. Making it takes longer than most specs take to compile: the build puts code made
 * beforehand in this file's place (scripts/build.mjs).
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import options from '../schema/ajv.json' with { type: 'json' };
import schema from '../schema/spec.schema.json' with { type: 'json' };
import testSchema from '../schema/test.schema.json' with { type: 'json' };

const ajv = new Ajv2020({ ...options, code: { optimize: false } }).addSchema(testSchema, 'test.schema.json');

export const check: ValidateFunction = ajv.compile(schema);
export const checkTests: ValidateFunction = ajv.compile({ $ref: 'test.schema.json' });
