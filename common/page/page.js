// What runs in the page: the tokenizer, the prompt and the GPT of data.py, model.py and generate.py once more, by the
// same names, so that the models answer without a network. It trains nothing, and reads one token at a time.
"use strict"; const data = JSON.parse(document.getElementById("data").textContent);

// Text -> tokens. A token is a string with one letter for each of its bytes, as in a checkpoint.
// What \w and \s mean in Python; here \w knows English only.
const LETTER = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}", SPACE = "\\p{White_Space}";
const WORD = new RegExp(` ?(?:(?![_\\p{Nd}])[${LETTER}])+| ?\\p{Nd}+| ?(?:[^${SPACE}${LETTER}]|_)+|`
  + `[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`, "gu");

class Tokenizer {
  constructor(tokens) {
    [this.tokens, this.eosId] = [tokens, tokens.length];
    this.ranks = new Map(tokens.map((token, id) => [token, id]));
  }

  encode(text) { return (text.match(WORD) ?? []).flatMap((word) => this.encodeWord(new TextEncoder().encode(word))); }

  // Start from the bytes; again and again merge the two neighbours that make the token of the lowest id.
  encodeWord(bytes) {
    const rank = (part) => this.ranks.get(part) ?? Infinity, whole = String.fromCharCode(...bytes), parts = [...whole];
    if (this.ranks.has(whole)) return [rank(whole)];
    for (;;) {
      const pairs = parts.slice(1).map((part, i) => rank(parts[i] + part)), lowest = Math.min(...pairs);
      if (lowest === Infinity) return parts.map(rank);
      const i = pairs.indexOf(lowest);
      parts.splice(i, 2, parts[i] + parts[i + 1]);
    }
  }

  // The text of each token, "" where it ends within a character; the last piece is what is left of such a one.
  pieces(ids) {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    const bytes = (id) => Uint8Array.from(this.tokens[id] ?? data.eos, (letter) => letter.charCodeAt(0));
    return [...ids.map((id) => decoder.decode(bytes(id), { stream: true })), decoder.decode()];
  }
  decode(ids) { return this.pieces(ids).join(""); }
}

const tokenizer = new Tokenizer(data.tokens);

// A conversation -> pieces of text, each with its kind -> tokens.
function render(turns, template, system = "") {
  const t = data.templates[template], pieces = [];
  const fill = (pattern, text, kind) => {
    const [before, after] = pattern.split("{}");
    pieces.push([before, "frame"], [text, kind], [after, "frame"]);
  };
  turns.forEach((turn, i) => {
    pieces.push([i ? t.between : (turn.input && t.preamble_with_input) || t.preamble, "frame"]);
    if (system && !i) fill(t.system, system, "system");
    fill(t.instruction, turn.instruction, "instruction");
    if (turn.input) fill(t.input, turn.input, "input");
    pieces.push([t.response, "frame"]);
    if (turn.output !== null) pieces.push([turn.output, "answer"]);
  });
  return pieces;
}

// -> [[ids, kind], ...]. Each piece is tokenized by itself, so no word of a user can melt into a header. What does not
// fit in `limit` tokens loses the end of the input, then of the instruction.
function encode(pieces, limit = Infinity) {
  const parts = pieces.map(([text, kind]) => [tokenizer.encode(text), kind]);
  for (const [ids, kind] of parts) if (kind === "answer") ids.push(tokenizer.eosId);
  let excess = parts.reduce((sum, [ids]) => sum + ids.length, 0) - limit;
  for (const shortened of ["input", "instruction"])
    for (const [ids, kind] of parts) {
      const cut = kind === shortened ? Math.max(0, Math.min(excess, ids.length - 1)) : 0;
      ids.length -= cut;
      excess -= cut;
    }
  return parts;
}

// A question as a model gets it. Without a template it is raw text; a document begins after an eos.
function promptParts(turn, template) {
  const limit = data.config.block_size - Math.min(16, Math.floor(data.config.block_size / 4)); // room for an answer
  if (template) return encode(render([{ ...turn, output: null }], template), limit);
  const ids = tokenizer.encode([turn.instruction, turn.input].filter(Boolean).join(" "));
  return [[[tokenizer.eosId], "frame"], [ids.slice(-limit), "instruction"]];
}

// The weights. A matrix is kept as whole numbers of a few bits, times a scale for each of its rows.
function unpack(packed) {
  const letters = atob(packed.bytes), raw = new Uint8Array(letters.length), weights = {}, half = 2 ** (packed.bits - 1);
  for (let i = 0; i < raw.length; i++) raw[i] = letters.charCodeAt(i);
  const view = new DataView(raw.buffer);
  let at = 0;
  for (const [name, [rows, columns]] of packed.tensors) {
    const scale = new Float32Array(rows).map((_, i) => view.getFloat32(at + 4 * i, true));
    at += 4 * rows;
    let buffer = 0, have = 0; // bits that were read and not used yet
    const number = (_, i) => {
      for (; have < packed.bits; have += 8) buffer |= raw[at++] << have;
      const value = (buffer & (2 * half - 1)) - half;
      buffer >>= packed.bits;
      have -= packed.bits;
      return value * scale[Math.floor(i / columns)];
    };
    weights[name] = columns ? new Float32Array(rows * columns).map(number) : scale; // a vector is kept as it is
  }
  return weights;
}

// The weights of a tuned model: those of the base and what tuning added, whole matrices W or an adapter's A and B.
function addTo(base, packed) {
  const added = unpack(packed), weights = { ...base };
  for (const [name, [, rank]] of packed.tensors.filter(([name]) => !name.endsWith("lora_A"))) {
    const its = name.replace("lora_B", "weight"), B = added[name], A = added[name.replace("lora_B", "lora_A")];
    const inputs = A.length / rank; // A (rank, inputs), B (outputs, rank)
    weights[its] = base[its].map((value, i) => {
      if (its === name) return value + B[i];
      const row = Math.floor(i / inputs), column = i % inputs;
      for (let r = 0; r < rank; r++) value += packed.scale * B[row * rank + r] * A[r * inputs + column];
      return value;
    });
  }
  return weights;
}

// The transformer, leaf to root, for one token after those in the cache. x is the residual stream, (C).
const add = (x, y) => x.map((value, i) => value + y[i]);

// weight (outputs, inputs), x (inputs) -> (outputs). Two sums: the second addition need not wait for the first.
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
  const average = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / x.length, mean = average(x);
  const variance = average(x.map((value) => (value - mean) ** 2));
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i] + bias[i]);
}

function erf(x) { // to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26)
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

const gelu = data.config.gelu === "none" ? (a) => 0.5 * a * (1 + erf(a / Math.SQRT2))
  : (a) => 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3)));

// Subtracting the largest changes nothing and keeps exp from overflowing.
function softmax(scores) {
  const top = Math.max(...scores), e = scores.map((score) => Math.exp(score - top)), sum = e.reduce((a, b) => a + b);
  return e.map((value) => value / sum);
}

// Rotate half of the pairs (a, b) = (x[i], x[i + hs/2]) by their position's angle: (a cos - b sin, b cos + a sin).
function applyRotary(x, position) {
  const half = x.length / 2;
  return x.map((value, i) => {
    const pair = i % half, other = i < half ? -x[i + half] : x[i - half];
    const angle = pair < half / 2 ? position * 100 ** (-2 * pair / half) : 0;
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}

// softmax(q k^T / sqrt(hs)) v of one head: q (hs); keys and values, S times (hs), those of all positions so far
function attend(q, keys, values) {
  const y = new Float32Array(q.length);
  const scores = keys.map((k) => q.reduce((sum, value, i) => sum + value * k[i], 0) / Math.sqrt(q.length)); // (S)
  softmax(scores).forEach((p, s) => values[s].forEach((value, i) => (y[i] += p * value)));
  return y;
}

class GPT {
  constructor(weights) { this.weights = weights; }
  apply(layer, x, name) { return layer(x, this.weights[`${name}.weight`], this.weights[`${name}.bias`]); }

  attention(x, name, cache) {
    const C = x.length, nh = data.config.n_head, hs = C / nh, y = new Float32Array(C);
    const qkv = this.apply(linear, x, `${name}.c_attn`); // (3 C): queries, keys and values in one product
    for (let head = 0; head < nh; head++) {
      let [q, k, v] = [0, C, 2 * C].map((start) => qkv.subarray(start + head * hs, start + (head + 1) * hs));
      if (data.config.position === "rotary") [q, k] = [q, k].map((one) => applyRotary(one, cache.length));
      const { keys, values } = (cache[name + head] ??= { keys: [], values: [] });
      keys.push(k);
      values.push(v);
      y.set(attend(q, keys, values), head * hs);
    }
    return this.apply(linear, y, `${name}.c_proj`);
  }
  mlp(x, name) { return this.apply(linear, this.apply(linear, x, `${name}.c_fc`).map(gelu), `${name}.c_proj`); }

  // The next token's id -> its hidden state (C). The cache holds what was read before it, and grows by it.
  hidden(id, cache) {
    const { smear, "wte.weight": wte, "wpe.weight": wpe } = this.weights, C = data.config.n_embd, before = cache.last;
    let x = (cache.last = wte.subarray(id * C, (id + 1) * C));
    if (smear && before) x = x.map((value, i) => value + smear[i] * before[i]); // the token before it
    if (wpe) x = add(x, wpe.subarray(cache.length * C));
    for (let layer = 0; layer < data.config.n_layer; layer++) {
      x = add(x, this.attention(this.apply(layerNorm, x, `h.${layer}.ln_1`), `h.${layer}.attn`, cache));
      x = add(x, this.mlp(this.apply(layerNorm, x, `h.${layer}.ln_2`), `h.${layer}.mlp`));
    }
    cache.length++;
    return this.apply(layerNorm, x, "ln_f");
  }

  // Hidden state (C) -> (V). The head's weights are those of the embedding.
  logits(x) { return linear(x, this.weights["wte.weight"]); }
}

// Yields the logits (V) after the prompt, then after each token that is sent back, until the context is full.
function* stream(model, prompt) {
  const cache = { length: 0 }, hiddens = prompt.map((id) => model.hidden(id, cache));
  let chosen = yield model.logits(hiddens.at(-1));
  while (cache.length < data.config.block_size) chosen = yield model.logits(model.hidden(chosen, cache));
}

// Greedy decoding -> ids, with the eos if it came. onToken(ids) is called after each; false from it ends the answer.
async function generate(model, prompt, onToken = () => true, maxNew = 48) {
  const steps = stream(model, prompt), ids = [];
  for (let step = steps.next(); !step.done && ids.length < maxNew; step = steps.next(ids.at(-1))) {
    ids.push(step.value.indexOf(Math.max(...step.value)));
    if (ids.at(-1) === tokenizer.eosId || !(await onToken(ids))) break;
  }
  return ids;
}

// For every token of an answer: its rank under the base, and the five most probable tokens of both models.
function trace(prompt, ids, tuned) {
  const runs = [models.base, tuned].map((model) => stream(model, prompt));
  return ids.map((id, i) => {
    const [ofBase, ofTuned] = runs.map((run) => softmax(run.next(ids[i - 1]).value)); // (V) each
    const top5 = (p) => Array.from(p, (_, i) => [i, p[i]]).sort((a, b) => b[1] - a[1]).slice(0, 5);
    return { id, rank: 1 + ofBase.filter((p) => p > ofBase[id]).length, base: top5(ofBase), tuned: top5(ofTuned) };
  });
}

// The page. Whatever data or models say goes in as text: element() makes no markup of it.
const models = {}; // by name: base, tuned and perhaps lora
const byId = (id) => document.getElementById(id);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    typeof value === "function" ? made.addEventListener(key, value) : made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function select(label, options, choose, value) {
  const made = element("select", { input: () => choose(made.value) });
  made.append(...options.map(([value, text]) => element("option", { value }, text)));
  made.value = value;
  return element("label", {}, `${label} `, made);
}

// Pieces as the model gets them: a span for every token, or for all the tokens of a character.
function spans(parts) {
  return parts.flatMap(([ids, kind]) => tokenizer.pieces(ids).map((piece, i) =>
    element("span", { class: ids[i] === tokenizer.eosId ? `${kind} eos` : kind }, piece.replaceAll("\n", "⏎\n"))));
}

// 1. Ask
const tuned = Object.keys(data.models).filter((name) => name !== "base").map((name) => [name, name, data.template]);
const columns = [["base, raw prompt", "base", null], ["base + template", "base", data.template], ...tuned];
let asked = 0; // how many questions were asked
const pause = () => new Promise((go) => setTimeout(() => go(performance.now()))); // lets the browser draw

// One column's answer, shown as it grows, unless a newer question was asked meanwhile.
async function answer(turn, [title, name, template], number) {
  const parts = promptParts(turn, template), prompt = parts.flatMap(([ids]) => ids);
  const said = element("p", { class: "text" }), end = element("small", {}, "…");
  const given = [element("summary", {}, `The prompt, ${prompt.length} tokens`), element("pre", {}, ...spans(parts))];
  const card = [element("h3", {}, title), said, end, element("details", {}, ...given)];
  byId("answers").append(element("article", { class: name }, ...card));
  let drawn = await pause();
  const ids = await generate(models[name], prompt, async (ids) => {
    said.textContent = tokenizer.decode(ids);
    if (performance.now() - drawn > 15) drawn = await pause();
    return number === asked;
  });
  end.textContent = `${ids.at(-1) === tokenizer.eosId ? "stopped by itself" : "did not stop"}, ${ids.length} tokens`;
  return { name, prompt, ids, said: `${title}: ${said.textContent}` };
}

async function ask(turn) {
  const number = ++asked, start = performance.now();
  for (const name of ["instruction", "input"]) byId(name).value = turn[name];
  byId("answers").replaceChildren();
  const all = await Promise.all(columns.map((column) => answer(turn, column, number)));
  if (number !== asked) return;
  const read = all.flatMap(({ prompt, ids }) => [...prompt, ...ids]).length;
  const seconds = (performance.now() - start) / 1000;
  byId("speed").textContent = `${read} tokens read and written, ${Math.round(read / seconds)} a second`;
  byId("said").textContent = all.map((one) => one.said).join("; ");
  performance.mark("answered");
  showChanged(all.filter((one) => one.name !== "base"));
}

// 2. What tuning changed
function showChanged(answers, chosen = 0) {
  const { name, prompt, ids } = answers[chosen], names = answers.map((one, i) => [i, one.name]);
  const other = select("Compare the base with", names, (i) => showChanged(answers, +i), chosen);
  byId("compared").replaceChildren(...(names.length > 1 ? [other] : []));
  showTokens(trace(prompt, ids, models[name]), async (begun) => {
    const room = begun.at(-1) === tokenizer.eosId ? 0 : 48 - begun.length;
    const more = await generate(models[name], [...prompt, ...begun], undefined, room);
    showChanged(answers.with(chosen, { name, prompt, ids: [...begun, ...more] }), chosen);
  });
}

// A token by itself; a part of a character as its bytes.
function shown(id) {
  const text = tokenizer.decode([id]).replaceAll("\n", "⏎").replace(/^ /, "␣");
  const hex = (byte) => `\\x${byte.charCodeAt(0).toString(16)}`;
  return text.includes("\ufffd") ? Array.from(tokenizer.tokens[id], hex).join("") : text;
}

// goOn(ids) is called when another token is chosen, with the answer up to it; null where no model is at hand.
function showTokens(tokens, goOn) {
  const pieces = tokenizer.pieces(tokens.map((token) => token.id));
  const buttons = tokens.map(({ id, rank }, i) => {
    const kind = rank === 1 ? "unshifted" : rank <= 3 ? "marginal" : "shifted";
    const title = `${shown(id)}: ${kind}, number ${rank} of the base`;
    const text = pieces[i].replaceAll("\n", "⏎") || "·"; // of a character in several tokens, all but the last
    return element("button", { class: kind, title, "aria-label": title, click: () => choose(i) }, text);
  });
  const choose = (i) => {
    buttons.forEach((one, j) => one.setAttribute("aria-pressed", i === j));
    byId("choices").replaceChildren(...["base", "tuned"].map((name) => {
      const rows = tokens[i][name].map(([id, p]) => {
        const text = element("code", {}, shown(id)), begun = [...tokens.slice(0, i).map((token) => token.id), id];
        const token = goOn ? element("button", { title: "go on from here", click: () => goOn(begun) }, text) : text;
        const cells = [token, element("meter", { value: p, "aria-hidden": true }), `${(100 * p).toFixed(1)} %`];
        return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
      });
      return element("table", {}, element("caption", {}, `${name}: the five most probable here`), ...rows);
    }));
  };
  byId("tokens").replaceChildren(...buttons);
  byId("tokens").onkeydown = (event) => {
    const next = buttons[buttons.indexOf(event.target) + { ArrowRight: 1, ArrowLeft: -1 }[event.key]];
    if (next) next.focus(), next.click();
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
const questions = [...byId("questions").tBodies[0].rows];

function showQuestions(filter, limit = 10) {
  const found = questions.filter((row) => {
    row.hidden = true;
    const fits = (key) => ["", row[key]].includes(filter[key]);
    return fits("split") && fits("task") && row.kinds.includes(filter.show)
      && row.textContent.toLowerCase().includes(filter.text.toLowerCase());
  });
  found.slice(0, limit).forEach((row) => (row.hidden = false));
  byId("found").textContent = `${found.length} questions`;
  byId("more").hidden = found.length <= limit;
  byId("more").onclick = () => showQuestions(filter, limit + 50);
  byId("link").href = `#${new URLSearchParams(filter)}`;
}

// A table as cards: every row is a small grid, every cell says what it is of.
function asCards(table) {
  const names = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
  for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, i) => (cell.dataset.of = names[i]));
  table.classList.add("cards");
}

function startQuestions() {
  asCards(byId("questions"));
  if (innerWidth < 700) asCards(document.querySelector(".scores"));
  for (const row of questions) {
    const right = (name) => row.querySelector(`[data-of="${name}"] .ok`) !== null;
    const base = right("base raw") || right("base template"), tuned = right("tuned");
    [row.split, row.task] = row.querySelector("small").textContent.split(/, (.*)/);
    row.kinds = ["all", !base && tuned && "better", !base && !tuned && "both", !tuned && "wrong"];
  }
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1))), shared = "show" in given;
  const show = questions.some((row) => row.kinds.includes("better")) ? "better" : "all";
  const filter = { show, split: "", task: "", text: "", ...(shared && given) };
  const change = (key) => (value) => showQuestions(Object.assign(filter, { [key]: value }));
  const values = (key) => [["", "all"], ...Array.from(new Set(questions.map((row) => row[key])), (one) => [one, one])];
  const options = { show: KINDS, split: values("split"), task: values("task") };
  for (const key in options) byId("filters").append(select(key, options[key], change(key), filter[key]));
  const search = element("input", { type: "search", value: filter.text, input: () => change("text")(search.value) });
  const link = element("a", { id: "link", click: () => navigator.clipboard?.writeText(link.href) }, "copy a link");
  byId("filters").append(element("label", {}, "text ", search), element("output", { id: "found" }), link);
  byId("questions").closest("details").open = true;
  showQuestions(filter);
  if (shared) byId("filters").scrollIntoView();
}

// 5. How it came
const steps = Array.from(byId("steps").tBodies[0].rows, (row) => Array.from(row.cells, (cell) => cell.textContent));
if (steps.length) {
  const slider = element("input", { type: "range", max: steps.length - 1, value: 0 });
  const said = element("p", { class: "text" });
  slider.oninput = () => {
    const [stage, step, prompt, answer, stopped] = steps[slider.value];
    const head = element("b", {}, `${stage}, step ${step}: `), end = stopped === "True" ? " (stops)" : " …";
    said.replaceChildren(head, prompt, " → ", element("mark", {}, answer), end);
    slider.setAttribute("aria-valuetext", said.textContent);
    for (const mark of document.querySelectorAll(".now")) {
      const its = mark.parentNode.dataset, x = 30 + 280 * Math.min(1, step / its.last);
      mark.setAttribute("d", its.stage === stage ? `M${x} 10V150` : "");
    }
  };
  byId("slider").append(element("label", {}, "Step ", slider), said);
  slider.oninput();
}

{ // The beginning
  document.querySelectorAll("[hidden]").forEach((part) => (part.hidden = false));
  const [form, instruction, input] = ["form", "instruction", "input"].map(byId), here = "base" in data.models;
  const asked = () => ask({ instruction: instruction.value, input: input.value });
  const show = here ? ask : (turn, i) => { // what was computed when the page was made
    byId("compared").textContent = `${turn.instruction} ${turn.input}`;
    showTokens(data.traces[i], null);
  };
  if (here) models.base = new GPT(unpack(data.models.base));
  for (const [, name] of columns.slice(2)) models[name] = new GPT(addTo(models.base.weights, data.models[name]));
  form.hidden = !here;
  byId("here").textContent = here
    ? `Both are in this file, in ${data.models.base.bits} bits: your browser computes what they say, without a network.`
    : "That is too many for this page. What the tuned model says to the examples was computed when it was made.";
  for (const part of document.querySelectorAll("section"))
    byId("parts").append(element("a", { href: `#${part.id}` }, part.firstChild.textContent));
  form.onsubmit = () => asked() && false;
  instruction.onkeydown = (event) => event.key !== "Enter" || event.shiftKey || event.isComposing || (asked() && false);
  for (const [i, turn] of data.examples.entries())
    byId("examples").append(element("button", { click: () => show(turn, i) }, turn.instruction));
  const names = Object.keys(data.templates).map((name) => [name, name]);
  byId("templates").append(select("Template", names, showPairs, data.template));
  showPairs(data.template);
  startQuestions();
  show(data.examples[0], 0);
}
