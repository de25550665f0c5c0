// The models of the page: tokenizer, prompt and GPT of data.py, model.py and generate.py once more,
// by the same names, so that they answer without a network. They read one token at a time.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

// -------------------------------------------------------------------------------------------------
// Text -> tokens. A token is a string with one letter for each of its bytes, as in a checkpoint.

// What \w and \s mean in Python. In JavaScript, \w knows only English letters.
const LETTER = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}", SPACE = "\\p{White_Space}";
const WORD = new RegExp(` ?(?:(?![_\\p{Nd}])[${LETTER}])+| ?\\p{Nd}+`
  + `| ?(?:[^${SPACE}${LETTER}]|_)+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`, "gu");

class Tokenizer {
  constructor(tokens, eosId) { // tokens: an array, or {id: token} where no text is encoded
    this.tokens = tokens;
    this.eosId = eosId;
    this.ranks = new Map(Object.entries(tokens).map(([id, token]) => [token, +id]));
  }

  encode(text) {
    const words = text.match(WORD) ?? [];
    return words.flatMap((word) => this.encodeWord(new TextEncoder().encode(word)));
  }

  // Start from the bytes. Again and again merge the two neighbors that make the lowest id.
  encodeWord(bytes) {
    const rank = (part) => this.ranks.get(part) ?? Infinity;
    const whole = String.fromCharCode(...bytes), parts = [...whole];
    if (this.ranks.has(whole)) return [rank(whole)];
    for (;;) {
      const pairs = parts.slice(1).map((part, i) => rank(parts[i] + part));
      const lowest = Math.min(...pairs);
      if (lowest === Infinity) return parts.map(rank);
      const i = pairs.indexOf(lowest);
      parts.splice(i, 2, parts[i] + parts[i + 1]);
    }
  }

  // The text of each token, "" if it ends within a character. The last piece is what is left over.
  pieces(ids) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const letters = (id) => (id === this.eosId ? data.eos : this.tokens[id]);
    const bytes = (id) => Uint8Array.from(letters(id), (letter) => letter.charCodeAt(0));
    return [...ids.map((id) => decoder.decode(bytes(id), { stream: true })), decoder.decode()];
  }

  decode(ids) { return this.pieces(ids).join(""); }
}

const tokenizer = new Tokenizer(data.tokens, data.eos_id);

// -------------------------------------------------------------------------------------------------
// A conversation -> pieces of text, each with its kind -> tokens.

function render(turns, template, system = "") {
  const t = data.templates[template], pieces = [];
  const fill = (pattern, text, kind) => {
    const [before, after] = pattern.split("{}");
    pieces.push([before, "frame"], [text, kind], [after, "frame"]);
  };
  turns.forEach((turn, i) => {
    const preamble = (turn.input && t.preamble_with_input) || t.preamble;
    pieces.push([i ? t.between : preamble, "frame"]);
    if (system && !i) fill(t.system, system, "system");
    fill(t.instruction, turn.instruction, "instruction");
    if (turn.input) fill(t.input, turn.input, "input");
    pieces.push([t.response, "frame"]);
    if (turn.output !== null) pieces.push([turn.output, "answer"]);
  });
  return pieces;
}

// Returns [[ids, kind], ...]. Each piece is tokenized by itself, so no word of a user can merge
// with a header. If it's longer than `limit` tokens, the input loses its end, then the question.
function encode(pieces, limit = Infinity) {
  const parts = pieces.map(([text, kind]) => [tokenizer.encode(text), kind]);
  for (const [ids, kind] of parts) if (kind === "answer") ids.push(tokenizer.eosId);
  let excess = parts.reduce((sum, [ids]) => sum + ids.length, 0) - limit;
  for (const truncatable of ["input", "instruction"])
    for (const [ids, kind] of parts) {
      const cut = kind === truncatable ? Math.max(0, Math.min(excess, ids.length - 1)) : 0;
      ids.length -= cut;
      excess -= cut;
    }
  return parts;
}

// How long a prompt may be, so that there is room for an answer.
function longestPrompt() {
  const block = data.config.block_size;
  return block - Math.min(16, Math.floor(block / 4));
}

// A question as a model gets it. Without a template it is raw text. A document starts with an eos.
function promptParts(turn, template, limit = longestPrompt()) {
  if (template) return encode(render([{ ...turn, output: null }], template), limit);
  const ids = tokenizer.encode([turn.instruction, turn.input].filter(Boolean).join(" "));
  return [[[tokenizer.eosId], "frame"], [ids.slice(-limit), "instruction"]];
}

// -------------------------------------------------------------------------------------------------
// The weights. A matrix is stored as integers of a few bits, times a scale for each of its rows.

function unpack(packed) {
  const letters = atob(packed.bytes), raw = new Uint8Array(letters.length), weights = {};
  for (let i = 0; i < raw.length; i++) raw[i] = letters.charCodeAt(i);
  const view = new DataView(raw.buffer), half = 2 ** (packed.bits - 1);
  let at = 0;
  for (const [name, [rows, columns]] of packed.tensors) {
    const scale = new Float32Array(rows).map((_, i) => view.getFloat32(at + 4 * i, true));
    at += 4 * rows;
    let buffer = 0, have = 0; // bits that are read but not yet used
    const number = (_, i) => {
      for (; have < packed.bits; have += 8) buffer |= raw[at++] << have;
      const value = (buffer & (2 * half - 1)) - half;
      buffer >>= packed.bits;
      have -= packed.bits;
      return value * scale[Math.floor(i / columns)];
    };
    weights[name] = columns ? new Float32Array(rows * columns).map(number) : scale; // a vector
  }
  return weights;
}

// The weights of a tuned model: the base's, plus whole matrices W or an adapter's B A.
function addTo(base, packed) {
  const added = unpack(packed), weights = { ...base };
  for (const [name, [, rank]] of packed.tensors) {
    if (name.endsWith("lora_A")) continue;
    const target = name.replace("lora_B", "weight"), B = added[name];
    if (target === name) {
      weights[name] = add(base[name], B);
      continue;
    }
    const A = added[name.replace("lora_B", "lora_A")]; // (rank, inputs); B is (outputs, rank)
    const inputs = A.length / rank;
    weights[target] = base[target].map((value, i) => {
      const row = Math.floor(i / inputs), column = i % inputs;
      for (let r = 0; r < rank; r++)
        value += packed.scale * B[row * rank + r] * A[r * inputs + column];
      return value;
    });
  }
  return weights;
}

// -------------------------------------------------------------------------------------------------
// The transformer, leaf to root, for one token after those in the cache. x is the residual stream,
// (C).

const add = (x, y) => x.map((value, i) => value + y[i]);

// weight (outputs, inputs), x (inputs) -> (outputs). With two sums, no addition waits for the last.
function linear(x, weight, bias) {
  const y = new Float32Array(weight.length / x.length);
  for (let row = 0, at = 0; row < y.length; row++) {
    let even = bias ? bias[row] : 0, odd = 0;
    for (let i = 0; i < x.length; i += 2, at += 2) {
      even += weight[at] * x[i];
      odd += weight[at + 1] * x[i + 1];
    }
    y[row] = even + odd;
  }
  return y;
}

function layerNorm(x, gain, bias) {
  const average = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / x.length;
  const mean = average(x), variance = average(x.map((value) => (value - mean) ** 2));
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i] + bias[i]);
}

// To 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).
const ERF = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];

function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = ERF.reduce((total, factor) => t * (factor + total), 0);
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

const exactGelu = (a) => 0.5 * a * (1 + erf(a / Math.SQRT2));
const tanhGelu = (a) => 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3)));

// Subtracting the largest score changes nothing, and keeps exp from overflowing.
function softmax(scores) {
  const top = Math.max(...scores), e = scores.map((score) => Math.exp(score - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
}

// Rotate half of the pairs (a, b) = (x[i], x[i + hs/2]) by an angle that grows with the position:
// (a cos - b sin, b cos + a sin).
function applyRotary(x, position) {
  const half = x.length / 2;
  return x.map((value, i) => {
    const pair = i % half, other = i < half ? -x[i + half] : x[i - half];
    const angle = pair < half / 2 ? position * 100 ** (-2 * pair / half) : 0;
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}

// softmax(q k^T / sqrt(hs)) v of one head: q (hs); keys and values, S times (hs).
function attend(q, keys, values) {
  const dot = (k) => q.reduce((sum, value, i) => sum + value * k[i], 0);
  const scores = keys.map((k) => dot(k) / Math.sqrt(q.length)); // (S)
  const y = new Float32Array(q.length);
  softmax(scores).forEach((p, s) => values[s].forEach((value, i) => (y[i] += p * value)));
  return y;
}

class GPT {
  constructor(weights) { this.weights = weights; }

  apply(layer, x, name) {
    return layer(x, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
  }

  attention(x, name, cache) {
    const C = x.length, nh = data.config.n_head, hs = C / nh, y = new Float32Array(C);
    const qkv = this.apply(linear, x, `${name}.c_attn`); // (3 C): queries, keys and values
    for (let head = 0; head < nh; head++) {
      const part = (start) => qkv.subarray(start + head * hs, start + (head + 1) * hs);
      const rotate = (x) => (data.config.position === "rotary" ? applyRotary(x, cache.length) : x);
      const { keys, values } = (cache[name + head] ??= { keys: [], values: [] });
      keys.push(rotate(part(C)));
      values.push(part(2 * C));
      y.set(attend(rotate(part(0)), keys, values), head * hs);
    }
    return this.apply(linear, y, `${name}.c_proj`);
  }

  mlp(x, name) {
    const gelu = data.config.gelu === "none" ? exactGelu : tanhGelu;
    return this.apply(linear, this.apply(linear, x, `${name}.c_fc`).map(gelu), `${name}.c_proj`);
  }

  // The next token's id -> its hidden state (C). The cache has the tokens before it.
  hidden(id, cache) {
    const { smear, "wte.weight": wte, "wpe.weight": wpe } = this.weights, C = data.config.n_embd;
    const before = cache.last;
    let x = (cache.last = wte.subarray(id * C, (id + 1) * C));
    if (smear && before) x = x.map((value, i) => value + smear[i] * before[i]);
    if (wpe) x = add(x, wpe.subarray(cache.length * C));
    for (let layer = 0; layer < data.config.n_layer; layer++) {
      const name = `h.${layer}`;
      x = add(x, this.attention(this.apply(layerNorm, x, `${name}.ln_1`), `${name}.attn`, cache));
      x = add(x, this.mlp(this.apply(layerNorm, x, `${name}.ln_2`), `${name}.mlp`));
    }
    cache.length++;
    return this.apply(layerNorm, x, "ln_f");
  }

  // Hidden state (C) -> (V). The head has the weights of the embedding.
  logits(x) { return linear(x, this.weights["wte.weight"]); }
}

// Yields the logits (V) after the prompt, then after each token that is sent back, until the
// context is full.
function* stream(model, prompt) {
  const cache = { length: 0 }, hiddens = prompt.map((id) => model.hidden(id, cache));
  let chosen = yield model.logits(hiddens.at(-1));
  while (cache.length < data.config.block_size)
    chosen = yield model.logits(model.hidden(chosen, cache));
}

// Greedy decoding. Returns the ids, with the eos if it came, and the confidence: the product of the
// probabilities of the first tokens. onToken(ids, confidence) is called after each token but the
// eos; the answer ends if it returns false.
async function generate(model, prompt, onToken = () => true, maxNew = data.max_new) {
  const steps = stream(model, prompt), ids = [];
  let confidence = 1;
  for (let step = steps.next(); !step.done && ids.length < maxNew; step = steps.next(ids.at(-1))) {
    const best = step.value.indexOf(Math.max(...step.value));
    ids.push(best);
    if (ids.length <= data.n_first) confidence *= softmax(step.value)[best];
    if (best === tokenizer.eosId || !(await onToken(ids, confidence))) break;
  }
  return { ids, confidence };
}

// For every token of an answer: its rank under the base, and the five most probable tokens of both.
function trace(prompt, ids, base, tuned) {
  const runs = [base, tuned].map((model) => stream(model, prompt));
  return ids.map((id, i) => {
    const [ofBase, ofTuned] = runs.map((run) => softmax(run.next(ids[i - 1]).value)); // (V) each
    const ranked = (p) => Array.from(p, (_, i) => [i, p[i]]).sort((a, b) => b[1] - a[1]);
    const rank = 1 + ofBase.filter((p) => p > ofBase[id]).length;
    return { id, rank, base: ranked(ofBase).slice(0, 5), tuned: ranked(ofTuned).slice(0, 5) };
  });
}
