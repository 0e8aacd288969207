/** The library: compile a spec, load a model, get logits and text, compare. */
export { ExitCode, formatDiagnostic, InternalError, PeelError, type Diagnostic } from './compiler/diagnostics.ts';
export { compileSpec, type Compiled, type CompileInput } from './compiler/compile.ts';
export { buildPlan, type PlanOptions } from './compiler/build-plan.ts';
export type { ExecutionPlan, Target } from './compiler/plan.ts';
export { targets } from './compiler/targets.ts';
export { loadModel, type LoadedModel, type ModelOptions, type SessionOptions } from './runtime/model.ts';
export { checkModel, type CheckResult } from './runtime/check.ts';
export type { Session } from './runtime/session.ts';
export type { GeneratedToken, GenerateOptions, StopReason, TokenConstraint } from './runtime/generation/options.ts';
export { generateText, sampleTexts, type GeneratedText, type Sample, type TextOptions } from './runtime/generation/text.ts';
export type { Constraint, ConstraintSource } from './runtime/constrain/engine.ts';
export { conversationIds, type ConversationMessage } from './runtime/generation/conversation.ts';
export type { SamplingOptions } from './runtime/sampling/options.ts';
export type { DeviceName, DeviceOptions } from './runtime/device.ts';
export type { DeviceReport } from './runtime/backend.ts';
export type { Tokenizer, ChatMessage, DecodeStream, EncodeOptions } from './runtime/tokenizer/tokenizer.ts';
export { bitsPerByte, type Evaluation } from './runtime/evaluate.ts';
export { compareSessions, compareWithRecording, type ComparisonReport } from './runtime/compare.ts';
