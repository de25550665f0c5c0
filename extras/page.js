// What runs inside the page of a run: the tokenizer, the prompt and the GPT of data.py, model.py and generate.py once
// more, in plain JavaScript and by the same names, so that the models in the page answer without any program or
// network. What it is not: it trains nothing, and it reads one prompt at a time, one token at a time.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

// ---------------------------------------------------------------------------------------------------------------
// Text -> tokens. Strings of bytes are written with one letter a byte, as in a checkpoint.

const LETTER = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}"; // what \w means in Python: here \w knows English only
const SPACE = "\\p{White_Space}";
const WORD = new RegExp(
  ` ?(?:(?![_\\p{Nd}])[${LETTER}])+| ?\\p{Nd}+| ?(?:[^${SPACE}${LETTER}]|_)+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`, "gu");

class Tokenizer {
  constructor(tokens) {
    this.tokens = tokens;
    this.eosId = tokens.length;
    this.ranks = new Map(tokens.map((token, id) => [token, id]));
  }

  encode(text) {
    return [...text.matchAll(WORD)].flatMap(([word]) => this.encodeWord(new TextEncoder().encode(word)));
  }

  // Start from the bytes; again and again join the two neighbours that make the token of the lowest id.
  encodeWord(bytes) {
    let parts = Array.from(bytes, (byte) => String.fromCharCode(byte));
    if (this.ranks.has(parts.join(""))) return [this.ranks.get(parts.join(""))];
    for (;;) {
      let best = -1, lowest = Infinity;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = this.ranks.get(parts[i] + parts[i + 1]) ?? Infinity;
        if (rank < lowest) [best, lowest] = [i, rank];
      }
      if (best < 0) return parts.map((part) => this.ranks.get(part));
      parts.splice(best, 2, parts[best] + parts[best + 1]);
    }
  }

  bytes(id) {
    return Uint8Array.from(id === this.eosId ? data.eos : this.tokens[id], (letter) => letter.charCodeAt(0));
  }

  // Text in pieces, one for each token and "" where a character is not complete yet; the last is what is left over.
  pieces(ids) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return [...ids.map((id) => decoder.decode(this.bytes(id), { stream: true })), decoder.decode()];
  }

  decode(ids) {
    return this.pieces(ids).join("");
  }
}

// ---------------------------------------------------------------------------------------------------------------
// A conversation -> pieces of text, each with its kind -> tokens.

function render(turns, template, system = "") {
  const t = data.templates[template], pieces = [];
  const fill = (pattern, text, kind) => {
    const [before, after] = pattern.split("{}");
    pieces.push([before, "frame"], [text, kind], [after, "frame"]);
  };
  turns.forEach((turn, i) => {
    const opening = (turn.input && t.preamble_with_input) || t.preamble;
    pieces.push([i === 0 ? opening : t.between, "frame"]);
    if (system && i === 0) fill(t.system, system, "system");
    fill(t.instruction, turn.instruction, "instruction");
    if (turn.input) fill(t.input, turn.input, "input");
    pieces.push([t.response, "frame"]);
    if (turn.output !== null) pieces.push([turn.output, "answer"]);
  });
  return pieces;
}

// -> [[ids, kind], ...] of at most `limit` tokens: what does not fit loses the ends of the input, then the instruction.
// Each piece is tokenized by itself, so no word of a user can melt into a header.
function encode(pieces, limit = Infinity) {
  const parts = pieces.map(([text, kind]) => [tokenizer.encode(text), kind]);
  for (const [ids, kind] of parts) if (kind === "answer") ids.push(tokenizer.eosId);
  let excess = parts.reduce((sum, [ids]) => sum + ids.length, 0) - limit;
  for (const shortened of ["input", "instruction"]) {
    for (const [ids, kind] of parts) {
      if (kind !== shortened || excess <= 0) continue;
      const cut = Math.min(excess, Math.max(ids.length - 1, 0));
      ids.length -= cut;
      excess -= cut;
    }
  }
  return parts;
}

// The question as a model gets it. Without a template it is raw text, and a document begins after an eos.
function promptParts(turn, template) {
  const limit = data.config.block_size - Math.min(16, Math.floor(data.config.block_size / 4)); // room for an answer
  if (template) return encode(render([{ ...turn, output: null }], template), limit);
  const ids = tokenizer.encode([turn.instruction, turn.input].filter(Boolean).join(" "));
  return [[[tokenizer.eosId], "frame"], [ids.slice(-limit), "instruction"]];
}

// ---------------------------------------------------------------------------------------------------------------
// The weights. A matrix is kept as whole numbers of a few bits, times a scale for each of its rows.

function unpack(packed) {
  const letters = atob(packed.bytes), raw = new Uint8Array(letters.length), weights = {}, half = 2 ** (packed.bits - 1);
  for (let i = 0; i < raw.length; i++) raw[i] = letters.charCodeAt(i);
  const view = new DataView(raw.buffer);
  let at = 0;
  for (const [name, [rows, columns]] of packed.tensors) {
    const scale = Float32Array.from({ length: rows }, (_, i) => view.getFloat32(at + 4 * i, true));
    at += 4 * rows;
    weights[name] = columns ? new Float32Array(rows * columns) : scale; // a vector is kept as it is
    for (let i = 0, have = 0, buffer = 0; columns && i < rows * columns; i++) {
      for (; have < packed.bits; have += 8) buffer |= raw[at++] << have;
      weights[name][i] = ((buffer & (2 * half - 1)) - half) * scale[Math.floor(i / columns)];
      buffer >>= packed.bits;
      have -= packed.bits;
    }
  }
  return weights;
}

// The weights of a tuned model: the base's, and what tuning added to them.
function addTo(base, packed) {
  const added = unpack(packed), weights = { ...base };
  for (const [name, [rows, columns]] of packed.tensors) {
    if (name.endsWith("lora_A")) continue;
    const its = name.replace(".lora_B", ".weight"), old = base[its], A = added[name.replace("lora_B", "lora_A")];
    const sum = (weights[its] = new Float32Array(old));
    if (its === name) sum.forEach((_, i) => (sum[i] += added[name][i]));
    else {
      const rank = columns, inputs = A.length / rank; // W + scale * B A, as in LoRA.merge
      for (let row = 0; row < rows; row++)
        for (let r = 0; r < rank; r++) {
          const b = packed.scale * added[name][row * rank + r];
          for (let i = 0; i < inputs; i++) sum[row * inputs + i] += b * A[r * inputs + i];
        }
    }
  }
  return weights;
}

// ---------------------------------------------------------------------------------------------------------------
// The transformer, leaf to root, for one token x (C numbers) after those in the cache.

// weight (outputs, inputs), x (inputs) -> (outputs)
function linear(x, weight, bias) {
  const inputs = x.length, y = new Float32Array(weight.length / inputs);
  for (let row = 0, at = 0; row < y.length; row++) {
    let sum = bias ? bias[row] : 0;
    for (let i = 0; i < inputs; i++) sum += weight[at++] * x[i];
    y[row] = sum;
  }
  return y;
}

function layerNorm(x, gain, bias) {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i] + bias[i]);
}

// The integral of the normal distribution, to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26)
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

function gelu(x) {
  if (data.config.gelu === "none") return x.map((a) => 0.5 * a * (1 + erf(a / Math.SQRT2)));
  return x.map((a) => 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3))));
}

// Rotate every pair (a, b) = (x[i], x[i + hs/2]) of every head by its position's angle.
function applyRotary(x, position, hs) {
  const half = hs / 2, y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += hs)
    for (let i = 0; i < half; i++) {
      const angle = position * 100 ** ((-2 * i) / hs), a = x[start + i], b = x[start + i + half];
      y[start + i] = a * Math.cos(angle) - b * Math.sin(angle);
      y[start + i + half] = a * Math.sin(angle) + b * Math.cos(angle);
    }
  return y;
}

// Subtracting the largest changes nothing and keeps exp from overflowing.
function softmax(scores) {
  const top = scores.reduce((a, b) => Math.max(a, b)), e = scores.map((score) => Math.exp(score - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
}

// One head: the query q (hs) looks at all keys so far. softmax(q k^T / sqrt(hs)) v
function attend(q, keys, values, start) {
  const hs = q.length, y = new Float32Array(hs);
  const scores = keys.map((k) => q.reduce((sum, value, i) => sum + value * k[start + i], 0) / Math.sqrt(hs)); // (S)
  softmax(scores).forEach((p, s) => {
    for (let i = 0; i < hs; i++) y[i] += p * values[s][start + i];
  });
  return y;
}

class KVCache {
  constructor(layers) {
    this.keys = Array.from({ length: layers }, () => []); // of each layer, one (C) for every position read
    this.values = Array.from({ length: layers }, () => []);
    this.last = null; // the last embedding, for the smear
    this.length = 0;
  }
}

class GPT {
  constructor(weights) {
    this.weights = weights;
  }

  norm(x, name) {
    return layerNorm(x, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
  }

  linear(x, name) {
    return linear(x, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
  }

  attention(x, layer, cache) {
    const C = x.length, nh = data.config.n_head, hs = C / nh, y = new Float32Array(C);
    const qkv = this.linear(x, `h.${layer}.attn.c_attn`); // (3 C): queries, keys and values in one product
    let q = qkv.subarray(0, C), k = qkv.subarray(C, 2 * C);
    if (data.config.position === "rotary") [q, k] = [q, k].map((vectors) => applyRotary(vectors, cache.length, hs));
    cache.keys[layer].push(k);
    cache.values[layer].push(qkv.subarray(2 * C));
    for (let start = 0; start < C; start += hs)
      y.set(attend(q.subarray(start, start + hs), cache.keys[layer], cache.values[layer], start), start);
    return this.linear(y, `h.${layer}.attn.c_proj`);
  }

  mlp(x, layer) {
    return this.linear(gelu(this.linear(x, `h.${layer}.mlp.c_fc`)), `h.${layer}.mlp.c_proj`);
  }

  // The next token's id -> its hidden state (C); the cache grows by one.
  hidden(id, cache) {
    const { smear, "wte.weight": wte, "wpe.weight": wpe } = this.weights, before = cache.last;
    const C = data.config.n_embd, embedding = wte.subarray(id * C, (id + 1) * C);
    let x = embedding;
    if (smear && before) x = x.map((value, i) => value + smear[i] * before[i]); // the token before it
    if (wpe) x = x.map((value, i) => value + wpe[cache.length * C + i]);
    for (let layer = 0; layer < data.config.n_layer; layer++) {
      const attended = this.attention(this.norm(x, `h.${layer}.ln_1`), layer, cache);
      x = x.map((value, i) => value + attended[i]);
      const thought = this.mlp(this.norm(x, `h.${layer}.ln_2`), layer);
      x = x.map((value, i) => value + thought[i]);
    }
    cache.last = embedding;
    cache.length++;
    return this.norm(x, "ln_f");
  }

  // Hidden state -> logits (V) of the token after it. The head's weights are those of the embedding.
  logits(x) {
    return linear(x, this.weights["wte.weight"]);
  }
}

// Yields the logits (V) after the prompt, then after each token that is sent back, until the context is full.
function* stream(model, prompt) {
  const cache = new KVCache(data.config.n_layer);
  let x;
  for (const id of prompt) x = model.hidden(id, cache);
  for (;;) {
    const chosen = yield model.logits(x);
    if (cache.length === data.config.block_size) return;
    x = model.hidden(chosen, cache);
  }
}

const argmax = (logits) => logits.reduce((best, value, i) => (value > logits[best] ? i : best), 0);

// Greedy decoding -> ids, the eos included if it came. onToken(ids) is called after each; false from it ends the answer.
async function generate(model, prompt, onToken = () => {}, maxNew = 48) {
  const steps = stream(model, prompt), ids = [];
  let step = steps.next();
  while (!step.done && ids.length < maxNew) {
    ids.push(argmax(step.value));
    if ((await onToken(ids)) === false || ids.at(-1) === tokenizer.eosId) break;
    step = steps.next(ids.at(-1));
  }
  return ids;
}

// For every token of an answer: its rank under the base, and the five most probable tokens of both.
function trace(prompt, answer, compared) {
  const runs = [models.base, compared].map((model) => stream(model, prompt));
  let last;
  return answer.map((id) => {
    const [base, tuned] = runs.map((run) => run.next(last).value);
    last = id;
    return { id, rank: 1 + base.filter((value) => value > base[id]).length, base: top5(base), tuned: top5(tuned) };
  });
}

function top5(logits) {
  const p = softmax(logits), order = Array.from(p.keys()).sort((a, b) => p[b] - p[a]);
  return order.slice(0, 5).map((id) => [id, p[id]]);
}

const tokenizer = new Tokenizer(data.tokens);
const models = {};

// ---------------------------------------------------------------------------------------------------------------
// The page itself. Whatever is said by data or models goes in as text: element() makes no markup of it.

const byId = (id) => document.getElementById(id);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function select(label, options, input, value) {
  const made = element("select", { input }, ...options.map(([value, text]) => element("option", { value }, text)));
  made.value = value;
  return element("label", {}, `${label} `, made);
}

// Pieces as the model gets them: a span for every token, or for all the tokens of a character.
function spans(parts) {
  return parts.flatMap(([ids, kind]) =>
    tokenizer.pieces(ids).map((piece, i) =>
      element("span", { class: ids[i] === tokenizer.eosId ? `${kind} eos` : kind }, piece.replaceAll("\n", "⏎\n"))));
}

// 1. Ask

const columns = [["base, raw prompt", "base", null], ["base + template", "base", data.template]];
for (const name of Object.keys(data.models ?? {})) if (name !== "base") columns.push([name, name, data.template]);
let asked = 0; // how many questions were asked: a newer one ends the answers to the one before

async function ask(turn) {
  const number = ++asked, start = performance.now();
  let read = 0, paused = start;
  [byId("instruction").value, byId("input").value] = [turn.instruction, turn.input];
  byId("answers").replaceChildren();
  const answers = columns.map(async ([title, name, template]) => {
    const parts = promptParts(turn, template), prompt = parts.flatMap(([ids]) => ids);
    const said = element("p", { class: "text" }), end = element("small", {}, "…");
    const as = element("details", {}, element("summary", {}, `The prompt, ${prompt.length} tokens`), element("pre", {}, ...spans(parts)));
    byId("answers").append(element("article", { class: name }, element("h3", {}, title), said, end, as));
    const ids = await generate(models[name], prompt, async (ids) => {
      said.textContent = tokenizer.decode(ids.filter((id) => id !== tokenizer.eosId));
      if (performance.now() - paused > 12) await new Promise((go) => setTimeout(go)).then(() => (paused = performance.now()));
      return number === asked;
    });
    read += prompt.length + ids.length;
    end.textContent = ids.at(-1) === tokenizer.eosId ? `stopped by itself, ${ids.length} tokens` : `did not stop, ${ids.length} tokens`;
    return { name, prompt, ids, text: `${title}: ${said.textContent}` };
  });
  const all = await Promise.all(answers);
  if (number !== asked) return;
  const seconds = (performance.now() - start) / 1000;
  byId("speed").textContent = `${read} tokens read and written in ${seconds.toFixed(2)} s, ${Math.round(read / seconds)} a second`;
  byId("said").textContent = all.map((answer) => answer.text).join("; ");
  performance.mark("answered");
  showChanged(all.filter((answer) => !answer.name.startsWith("base")));
}

// 2. What tuning changed

function showChanged(answers, chosen = 0) {
  const { name, prompt, ids } = answers[chosen];
  showTokens(trace(prompt, ids, models[name]), async (begun) => {
    const more = await generate(models[name], [...prompt, ...begun], undefined, 48 - begun.length);
    showChanged(answers.with(chosen, { name, prompt, ids: [...begun, ...more] }), chosen);
  });
  const options = answers.map((answer, i) => [i, answer.name]), change = (event) => showChanged(answers, +event.target.value);
  byId("compared").replaceChildren(...(answers.length > 1 ? [select("Compare the base with", options, change, chosen)] : []));
}

function shown(id) {
  return id === tokenizer.eosId ? data.eos : JSON.stringify(tokenizer.decode([id])).slice(1, -1);
}

// goOn(ids): what to do when another token is chosen there; null if nothing can be done.
function showTokens(tokens, goOn) {
  const pieces = tokenizer.pieces(tokens.map((token) => token.id));
  const buttons = tokens.map(({ id, rank }, i) => {
    const kind = rank === 1 ? "unshifted" : rank <= 3 ? "marginal" : "shifted";
    const text = id === tokenizer.eosId ? data.eos : pieces[i].replaceAll("\n", "⏎") || "·";
    const about = `${shown(id)}: number ${rank} for the base, ${kind}`;
    return element("button", { class: kind, title: about, "aria-label": about, click: () => choose(i) }, text);
  });
  const choose = (i) => {
    buttons.forEach((one, j) => one.setAttribute("aria-pressed", i === j));
    byId("choices").replaceChildren(...["base", "tuned"].map((name) => {
      const rows = tokens[i][name].map(([id, p]) => {
        const text = element("code", {}, shown(id)), begun = [...tokens.slice(0, i).map((token) => token.id), id];
        const token = goOn ? element("button", { title: "go on from here", click: () => goOn(begun) }, text) : text;
        return element("tr", {}, element("td", {}, token), element("td", {}, element("meter", { value: p })), element("td", {}, `${(100 * p).toFixed(1)} %`));
      });
      return element("table", {}, element("caption", {}, `${name}: the five most probable here`), ...rows);
    }));
  };
  byId("tokens").replaceChildren(...buttons);
  byId("tokens").onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], next = buttons[buttons.indexOf(event.target) + step];
    if (next) [next.focus(), next.click()];
  };
  choose(Math.max(0, tokens.findIndex((token) => token.rank > 1)));
}

// 3. What the loss looked at

function showPairs(template) {
  byId("pairs").replaceChildren(...data.pairs.map(({ turns, system }) =>
    element("li", {}, element("pre", {}, ...spans(encode(render(turns, template, system)))))));
}

// 4. Did it work?

const KINDS = [["all", "all"], ["better", "base wrong, tuned right"], ["both", "both wrong"], ["wrong", "tuned wrong"]];

function showQuestions(filter, limit = 20) {
  const rows = questions.filter((row) => {
    row.hidden = true;
    return (filter.show === "all" || row.kinds.includes(filter.show)) && (!filter.split || row.split === filter.split)
      && (!filter.task || row.task === filter.task) && row.textContent.toLowerCase().includes(filter.text.toLowerCase());
  });
  rows.slice(0, limit).forEach((row) => (row.hidden = false));
  byId("found").textContent = `${rows.length} questions`;
  byId("more").hidden = rows.length <= limit;
  byId("more").onclick = () => showQuestions(filter, limit + 50);
  byId("link").href = `#${new URLSearchParams(filter)}`;
}

let questions; // the rows of the list, each with its split, its task and the kinds it belongs to

function startQuestions() {
  const names = [...document.querySelectorAll("#questions thead th")].map((cell) => cell.textContent);
  questions = [...document.querySelectorAll("#questions tbody tr")];
  for (const row of questions) {
    const right = (name) => row.cells[names.indexOf(name)].className === "ok", base = right("base raw") || right("base template");
    [row.split, row.task] = row.querySelector("small").textContent.split(/, (.*)/);
    row.kinds = [!base && right("tuned") && "better", !base && !right("tuned") && "both", !right("tuned") && "wrong"];
    [...row.cells].forEach((cell, i) => (cell.dataset.of = names[i]));
  }
  const given = location.hash.includes("=") ? Object.fromEntries(new URLSearchParams(location.hash.slice(1))) : {};
  const filter = { show: "better", split: "", task: "", text: "", ...given };
  const change = (key) => (event) => {
    filter[key] = event.target.value;
    showQuestions(filter);
  };
  const values = (key) => [["", "all"], ...[...new Set(questions.map((row) => row[key]))].map((value) => [value, value])];
  for (const [key, options] of [["show", KINDS], ["split", values("split")], ["task", values("task")]])
    byId("filters").append(select(key, options, change(key), filter[key]));
  const copy = (event) => navigator.clipboard?.writeText(event.target.href);
  byId("filters").append(
    element("label", {}, "text ", element("input", { type: "search", value: filter.text, input: change("text") })),
    element("output", { id: "found" }), element("a", { id: "link", click: copy }, "copy a link to these"));
  byId("questions").classList.add("cards");
  byId("questions").after(element("button", { id: "more" }, "more"));
  byId("questions").closest("details").open = true;
  showQuestions(filter);
  if (location.hash.includes("=")) byId("filters").scrollIntoView();
}

// 5. How it came

function startSlider() {
  const rows = [...document.querySelectorAll("#steps tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
  const show = (i) => {
    const [stage, step, prompt, answer, stopped] = rows[i];
    said.replaceChildren(element("b", {}, `${stage}, step ${step}: `), prompt, element("mark", {}, answer), stopped === "yes" ? " and stops" : " …");
    slider.setAttribute("aria-valuetext", said.textContent);
    for (const picture of document.querySelectorAll(".curves svg")) {
      const mark = picture.querySelector(".now"), x = 30 + 280 * Math.min(1, step / picture.dataset.last);
      mark.setAttribute("d", picture.dataset.stage === stage ? `M${x} 10V150` : "");
    }
  };
  for (const picture of document.querySelectorAll(".curves svg"))
    picture.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  document.querySelectorAll(".curves path:last-child").forEach((mark) => mark.classList.add("now"));
  const said = element("p", { class: "text" });
  const slider = element("input", { type: "range", max: rows.length - 1, value: 0, input: () => show(+slider.value) });
  byId("slider").append(element("label", {}, "Step ", slider), said);
  show(0);
}

// ---------------------------------------------------------------------------------------------------------------

function start() {
  document.querySelectorAll("[hidden]").forEach((part) => (part.hidden = false));
  const templates = Object.keys(data.templates).map((name) => [name, name]);
  byId("templates").append(select("Template", templates, (event) => showPairs(event.target.value), data.template));
  if (document.querySelector("#steps")) startSlider();
  if (data.models) {
    const base = unpack(data.models.base);
    models.base = new GPT(base);
    for (const [, name] of columns.slice(2)) models[name] = new GPT(addTo(base, data.models[name]));
  } else document.querySelector("form").hidden = true;
  const answer = data.models ? ask : (_, i) => showTokens(data.traces[i].tokens, null);
  byId("examples").append(...data.examples.map((turn, i) => element("button", { click: () => answer(turn, i) }, turn.instruction)));
  document.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    ask({ instruction: byId("instruction").value, input: byId("input").value });
  });
  answer(data.examples[0], 0);
  startQuestions();
}

start();
