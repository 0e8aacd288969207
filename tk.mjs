// ../../tmp/tk.ts
import { readFileSync } from "node:fs";

// runtime/tokenizer/hugging-face.ts
import { Tokenizer as Core } from "@huggingface/tokenizers";

// runtime/tokenizer/budget.ts
import vm from "node:vm";

// compiler/diagnostics.ts
var ExitCode = {
  done: 0,
  failed: 1,
  usage: 2,
  spec: 10,
  weights: 11,
  tokenizer: 12,
  device: 13,
  fileSystem: 14,
  internal: 70
};
var PeelError = class extends Error {
  constructor(exitCode, diagnostics) {
    super(diagnostics.map((d2) => formatDiagnostic(d2)).join("\n"));
    this.exitCode = exitCode;
    this.diagnostics = diagnostics;
  }
  exitCode;
  diagnostics;
  name = "PeelError";
};
function formatDiagnostic(d2, excerpt = false) {
  const at = d2.location ? `${d2.location.file}:${d2.location.line}:${d2.location.column} ` : "";
  const head = `${at}${d2.code} ${d2.path === "" ? "/" : d2.path} ${d2.message}${d2.hint ? `; ${d2.hint}` : ""}`;
  if (!excerpt || d2.sourceLine === void 0 || !d2.location) return head;
  const width = Math.max(1, Math.min(d2.location.length ?? 1, d2.sourceLine.length - d2.location.column + 1));
  const gutter = `${d2.location.line} | `;
  return `${head}
${gutter}${d2.sourceLine}
${" ".repeat(gutter.length + d2.location.column - 1)}${"^".repeat(width)}`;
}

// runtime/tokenizer/budget.ts
function tokenizerError(code, message, more = {}) {
  return new PeelError(ExitCode.tokenizer, [{
    code,
    severity: "error",
    path: more.path ?? "",
    message,
    ...more.hint === void 0 ? {} : { hint: more.hint },
    ...more.file === void 0 ? {} : { location: { file: more.file, line: 1, column: 1 } }
  }]);
}
function timeLimit(what) {
  const holder = { work: void 0 };
  const context = vm.createContext(holder, { microtaskMode: "afterEvaluate" });
  const script = new vm.Script("work()");
  return (milliseconds, work) => {
    let result;
    holder.work = () => {
      result = { value: work() };
    };
    try {
      script.runInContext(context, { timeout: milliseconds });
    } catch (error) {
      if (typeof error === "object" && error !== null && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT") {
        throw tokenizerError("E806", `${what} took more than ${milliseconds} ms`, { hint: "a pattern or template of the model may be wrong, or the text too long" });
      }
      throw error;
    } finally {
      holder.work = void 0;
    }
    return (result ?? { value: void 0 }).value;
  };
}

// runtime/tokenizer/special.ts
function addedTokens(json) {
  if (!Array.isArray(json.added_tokens)) return [];
  const tokens = [];
  for (const entry of json.added_tokens) {
    if (typeof entry !== "object" || entry === null) continue;
    const { id, content, special, normalized, lstrip, rstrip } = entry;
    if (typeof id !== "number" || typeof content !== "string" || content === "") continue;
    tokens.push({ id, content, match: content, special: special === true, normalized: normalized === true, stripLeft: lstrip === true, stripRight: rstrip === true });
  }
  return tokens.sort((a2, b2) => b2.content.length - a2.content.length);
}
function splitAdded(text, tokens) {
  if (tokens.length === 0) return [text];
  const byFirst = /* @__PURE__ */ new Map();
  for (const token of tokens) {
    const first = token.match[0] ?? "";
    const list = byFirst.get(first);
    if (list) list.push(token);
    else byFirst.set(first, [token]);
  }
  const parts = [];
  let start = 0;
  for (let at = 0; at < text.length; ) {
    const found = byFirst.get(text[at] ?? "")?.find((token) => text.startsWith(token.match, at));
    if (!found) {
      at++;
      continue;
    }
    const before = text.slice(start, at);
    parts.push(found.stripLeft ? before.trimEnd() : before, found);
    at += found.match.length;
    if (found.stripRight) while (at < text.length && /\s/.test(text[at] ?? "")) at++;
    start = at;
  }
  parts.push(text.slice(start));
  return parts;
}
function escapeSpecial(messages, special) {
  const all = messages.map((m) => m.content + m.role).join("");
  const marker = Array.from({ length: 32 }, (_, i) => String.fromCharCode(64976 + i)).find((c2) => !all.includes(c2)) ?? "\uFDD0";
  const tokens = [...special].filter((s2) => s2.length > 1).sort((a2, b2) => b2.length - a2.length);
  const escape = (text) => {
    let result = "";
    for (let at = 0; at < text.length; at++) {
      result += text[at] ?? "";
      if (tokens.some((token) => text.startsWith(token, at))) result += marker;
    }
    return result;
  };
  return {
    escaped: messages.map((m) => ({ role: escape(m.role), content: escape(m.content) })),
    restore: (text) => text.replaceAll(marker, "")
  };
}

// runtime/tokenizer/stream.ts
var longestWait = 8;
function decodeStream(decode) {
  let window = [];
  let given = "";
  let context = 0;
  const flush = (text) => {
    const fresh = text.slice(given.length);
    window = window.slice(context);
    context = window.length;
    given = decode(window);
    return fresh;
  };
  return {
    push(id) {
      window.push(id);
      const text = decode(window);
      if (text.length <= given.length) return "";
      if (text.endsWith("\uFFFD") && window.length - context < longestWait) return "";
      return flush(text);
    },
    end() {
      if (window.length === context) return "";
      const text = decode(window);
      window = [];
      context = 0;
      const fresh = text.slice(given.length);
      given = "";
      return fresh;
    }
  };
}

// runtime/tokenizer/template.ts
import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
var budget = { steps: 1e6, stringLength: 4e6, listLength: 1e5, milliseconds: 2e3, templateLength: 1e6 };
var OverBudget = class extends Error {
};
var BudgetedInterpreter = class extends Interpreter {
  steps = 0;
  written = 0;
  evaluate(...args) {
    if (++this.steps > budget.steps) throw new OverBudget(`takes more than ${budget.steps} steps`);
    const result = super.evaluate(...args);
    const value = result.value;
    if (typeof value === "string") {
      if (value.length > budget.stringLength) throw new OverBudget(`makes a text of more than ${budget.stringLength} characters`);
      this.written += value.length;
      if (this.written > 64 * budget.stringLength) throw new OverBudget("makes too much text");
    } else if (Array.isArray(value) && value.length > budget.listLength) {
      throw new OverBudget(`makes a list of more than ${budget.listLength} items`);
    }
    return result;
  }
};
function boundedRange(start, stop, step = 1) {
  const [from, to] = stop === void 0 ? [0, start] : [start, stop];
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || !Number.isSafeInteger(step) || step === 0) throw new OverBudget("calls range() with what is no whole number");
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (count > budget.listLength) throw new OverBudget(`calls range() for ${count} items, at most ${budget.listLength} are made`);
  return Array.from({ length: count }, (_, i) => from + i * step);
}
function twoDigits(n) {
  return String(n).padStart(2, "0");
}
function formatTime(format, now = /* @__PURE__ */ new Date()) {
  const months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
  const month = months[now.getMonth()] ?? "";
  const parts = {
    "%Y": String(now.getFullYear()),
    "%m": twoDigits(now.getMonth() + 1),
    "%d": twoDigits(now.getDate()),
    "%H": twoDigits(now.getHours()),
    "%M": twoDigits(now.getMinutes()),
    "%S": twoDigits(now.getSeconds()),
    "%B": month,
    "%b": month.slice(0, 3),
    "%%": "%"
  };
  return format.replace(/%[YmdHMSBb%]/g, (code) => parts[code] ?? code);
}
function renderTemplate(template, variables) {
  const bad = (message) => {
    throw tokenizerError("E804", `the chat template ${message}`);
  };
  if (template.length > budget.templateLength) bad(`has ${template.length} characters, at most ${budget.templateLength} are read`);
  const limited = timeLimit("the chat template");
  try {
    const program = limited(budget.milliseconds, () => parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true })));
    const environment = new Environment();
    const globals = {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range: boundedRange,
      strftime_now: (format) => formatTime(format),
      raise_exception: (message) => {
        throw new OverBudget(`refuses: ${String(message).slice(0, 500)}`);
      },
      ...variables
    };
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    const result = limited(budget.milliseconds, () => new BudgetedInterpreter(environment).run(program)).value;
    return typeof result === "string" ? result : bad("gives no text");
  } catch (error) {
    if (error instanceof OverBudget) return bad(error.message);
    if (error instanceof RangeError) return bad(/call stack/.test(error.message) ? "is nested too deeply" : "makes a text that is too long");
    if (error instanceof Error && error.name !== "PeelError") return bad(`is wrong: ${error.message.split("\n")[0] ?? ""}`);
    throw error;
  }
}

// runtime/tokenizer/hugging-face.ts
var maxTextLength = 1e6;
var encodingTime = (length) => 1500 + Math.ceil(length / 100);
function isFields(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
function tokenText(value) {
  if (typeof value === "string") return value;
  return isFields(value) && typeof value.content === "string" ? value.content : void 0;
}
function chatTemplate(config) {
  const template = config.chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return void 0;
  const named = template.filter(isFields);
  const chosen = named.find((t2) => t2.name === "default") ?? named[0];
  return typeof chosen?.template === "string" ? chosen.template : void 0;
}
function check(json, file) {
  const model = json.model;
  const bad = (path, message) => {
    throw tokenizerError("E803", message, { path, file });
  };
  if (!isFields(model)) return bad("/model", "the tokenizer has no model");
  const { type, vocab } = model;
  const kinds = ["BPE", "WordPiece", "Unigram"];
  if (type !== void 0 && !kinds.includes(String(type))) bad("/model/type", `'${String(type)}' is not one of ${kinds.join(", ")}`);
  if (type === "Unigram" ? !Array.isArray(vocab) : !isFields(vocab)) bad("/model/vocab", `must be ${type === "Unigram" ? "a list of [piece, score]" : "a map of pieces to ids"}`);
  if (type === "BPE" && !Array.isArray(model.merges)) bad("/model/merges", "must be a list");
  if (isFields(vocab)) {
    const limit = 16 * Object.keys(vocab).length + 4096;
    for (const [piece, id] of Object.entries(vocab)) {
      if (!Number.isSafeInteger(id) || Number(id) < 0 || Number(id) > limit) bad(`/model/vocab/${piece}`, `id ${String(id)} is not a whole number from 0 to ${limit}`);
    }
  } else if (Array.isArray(vocab)) {
    vocab.forEach((entry, i) => {
      if (!Array.isArray(entry) || typeof entry[0] !== "string" || typeof entry[1] !== "number") bad(`/model/vocab/${i}`, "must be a piece and its score");
    });
  }
}
var HuggingFaceTokenizer = class {
  constructor(core, json, config, eos) {
    this.core = core;
    this.config = config;
    const added = addedTokens(json);
    this.specialTexts = new Set(added.filter((t2) => t2.special).map((t2) => t2.content));
    this.unnormalized = added.filter((t2) => !t2.normalized || core.normalizer === null);
    this.normalized = added.filter((t2) => t2.normalized && core.normalizer !== null).map((t2) => ({ ...t2, match: core.normalizer?.(t2.content) ?? t2.content }));
    const model = isFields(json.model) ? json.model : {};
    this.byteFallback = model.type === "Unigram" && model.byte_fallback === true;
    this.vocabSize = core.model?.vocab.length ?? 0;
    this.cleanUp = config.clean_up_tokenization_spaces === true;
    const named = (key) => {
      const text = tokenText(config[key]);
      return text === void 0 ? void 0 : core.token_to_id(text);
    };
    const [bos, pad, unknown, end] = [named("bos_token"), named("pad_token"), named("unk_token") ?? core.model?.unk_token_id, named("eos_token")];
    this.special = {
      eos: eos.length > 0 ? eos : end === void 0 ? [] : [end],
      ...bos === void 0 ? {} : { bos },
      ...pad === void 0 ? {} : { pad },
      ...unknown === void 0 ? {} : { unknown }
    };
    this.hasChatTemplate = chatTemplate(config) !== void 0;
    this.frame = this.frameIds();
  }
  core;
  config;
  vocabSize;
  special;
  hasChatTemplate;
  specialTexts;
  unnormalized;
  normalized;
  byteFallback;
  frame;
  limited = timeLimit("encoding the text");
  cleanUp;
  /** The ids that the post-processor puts around a text. */
  frameIds() {
    const marker = "\0text\0";
    const tokens = this.core.post_processor?.([marker], null, true).tokens ?? [marker];
    const at = tokens.indexOf(marker);
    const ids2 = (part) => part.flatMap((token) => this.core.token_to_id(token) ?? []);
    return at < 0 ? { before: [], after: [] } : { before: ids2(tokens.slice(0, at)), after: ids2(tokens.slice(at + 1)) };
  }
  /** Tokens of text between special tokens; `section` counts sections of a text from 0 (some tokenizers mark only a text's first word). */
  textIds(text, section, parseSpecial) {
    const normalizedText = this.core.normalizer ? this.core.normalizer(text) : text;
    const ids2 = [];
    for (const part of splitAdded(normalizedText, this.normalized.filter((t2) => parseSpecial || !t2.special))) {
      if (typeof part !== "string") {
        ids2.push(part.id);
        continue;
      }
      if (part === "") continue;
      const words = this.core.pre_tokenizer ? this.core.pre_tokenizer(part, { section_index: section }) : [part];
      for (const token of this.core.model?.(words) ?? []) ids2.push(...this.tokenIds(token, parseSpecial));
    }
    return ids2;
  }
  tokenIds(token, parseSpecial) {
    if (!parseSpecial && this.specialTexts.has(token) && token.length > 1) {
      const { model } = this.core;
      if (token !== model?.unk_token) return (model?.([token.slice(0, 1), token.slice(1)]) ?? []).flatMap((part) => this.tokenIds(part, parseSpecial));
    }
    const id = this.core.token_to_id(token);
    if (id !== void 0) return [id];
    if (this.byteFallback) {
      const bytes = [...new TextEncoder().encode(token)].map((b2) => this.core.token_to_id(`<0x${b2.toString(16).toUpperCase().padStart(2, "0")}>`));
      if (bytes.every((b2) => b2 !== void 0)) return bytes;
    }
    return this.special.unknown === void 0 ? [] : [this.special.unknown];
  }
  encode(text, options = {}) {
    const { frame = true, parseSpecial = false } = options;
    const ids2 = this.encodeParts(text, parseSpecial, (part) => part);
    return frame ? [...this.frame.before, ...ids2, ...this.frame.after] : ids2;
  }
  encodeParts(text, parseSpecial, clean) {
    if (text.length > maxTextLength) {
      throw tokenizerError("E805", `the text has ${text.length} characters, at most ${maxTextLength} are encoded at once`, { hint: "cut it at line ends" });
    }
    return this.limited(encodingTime(text.length), () => {
      const ids2 = [];
      const parts = splitAdded(text.replace(/\p{Surrogate}/gu, "\uFFFD"), this.unnormalized.filter((t2) => parseSpecial || !t2.special));
      for (const [section, part] of parts.entries()) {
        if (typeof part !== "string") ids2.push(part.id);
        else if (part !== "") for (const id of this.textIds(clean(part), section, parseSpecial)) ids2.push(id);
      }
      return ids2;
    });
  }
  decode(ids2, options = {}) {
    const known = Array.from(ids2).filter((id) => this.core.id_to_token(id) !== void 0);
    if (known.length === 0) return "";
    return this.core.decode(known, { skip_special_tokens: options.special !== true, clean_up_tokenization_spaces: this.cleanUp });
  }
  stream(options = {}) {
    return decodeStream((ids2) => this.decode(ids2, options));
  }
  chat(messages, options = {}) {
    const template = chatTemplate(this.config);
    if (template === void 0) {
      throw tokenizerError("E804", "this model has no chat template", { hint: "prompt it without --chat" });
    }
    const { escaped, restore } = escapeSpecial(messages, [...this.specialTexts]);
    const token = (key) => tokenText(this.config[key]) ?? "";
    const text = renderTemplate(template, {
      messages: escaped,
      add_generation_prompt: options.generationPrompt ?? true,
      bos_token: token("bos_token"),
      eos_token: token("eos_token"),
      pad_token: token("pad_token"),
      unk_token: token("unk_token")
    });
    return this.encodeParts(text, true, restore);
  }
  idOf(token) {
    return this.core.token_to_id(token);
  }
  tokenOf(id) {
    return this.core.id_to_token(id);
  }
};
function huggingFaceTokenizer(json, config = {}, options = {}) {
  const file = options.file ?? "tokenizer.json";
  check(json, file);
  try {
    const complete = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [], ...json };
    return timeLimit("reading the tokenizer")(2e4, () => new HuggingFaceTokenizer(new Core(complete, config), json, config, options.eos ?? []));
  } catch (error) {
    if (error instanceof Error && error.name !== "PeelError") throw tokenizerError("E803", `the tokenizer cannot be used: ${error.message.split("\n")[0] ?? ""}`, { file });
    throw error;
  }
}

// ../../tmp/tk.ts
var d = process.argv[2];
var t = huggingFaceTokenizer(JSON.parse(readFileSync(d + "/tokenizer.json", "utf8")), JSON.parse(readFileSync(d + "/tokenizer_config.json", "utf8")));
var b = readFileSync("/work/shared/data/tinyshakespeare.txt");
var s = b.subarray(Math.floor(b.length * 0.9)).toString("utf8");
var a = performance.now();
var ids = t.encode(s, { frame: false });
console.log(ids.length, performance.now() - a, t.special, t.vocabSize, t.decode(ids) === s, t.decode(ids).slice(0, 50));
var st = t.stream();
var o = "";
var c = performance.now();
for (const id of ids) o += st.push(id);
o += st.end();
console.log("stream", o === s, performance.now() - c);
var w = await import("node:fs");
w.writeFileSync("/tmp/ids.json", JSON.stringify(ids));
