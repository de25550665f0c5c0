
// -------------------------------------------------------------------------------------------------
// The page. All text of data or models goes in as text: element() never makes markup of it.

const models = {}; // by name: base, tuned and perhaps lora; none if they are too big for the page
const byId = (id) => document.getElementById(id);
const inPage = "base" in data.models;

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function select(label, options, choose, value) {
  const node = element("select", { input: () => choose(node.value) });
  node.append(...options.map(([value, text]) => element("option", { value }, text)));
  node.value = value;
  return element("label", {}, `${label} `, node);
}

// A prompt's pieces: a span for every token, or for all the tokens of a character.
function spans(parts) {
  return parts.flatMap(([ids, kind]) => tokenizer.pieces(ids).map((piece, i) => {
    const kinds = ids[i] === tokenizer.eosId ? `${kind} eos` : kind;
    return element("span", { class: kinds }, piece.replaceAll("\n", "⏎\n"));
  }));
}

const definitions = {}; // of the words of the held-out table
for (const term of byId("words").querySelectorAll("dt"))
  definitions[term.textContent] = term.nextElementSibling;

const columns = [ // the title as in the table, the model, the template, where its answer is shown
  ["base raw", "base", null, byId("answers")],
  ["tuned", "tuned", data.template, byId("answers")],
  ["base template", "base", data.template, byId("others").querySelector(".grid")],
];
if ("lora" in data.models)
  columns.push(["lora", "lora", data.template, byId("others").querySelector(".grid")]);

// -------------------------------------------------------------------------------------------------
// 1. Ask both

const SMALL_TALK = RegExp("^(hi|hello|hey|good (morning|afternoon|evening)|thanks|thank you|bye"
  + "|goodbye|who are you|how are you|are you chatgpt)( (there|all|you))?[\\s!?.,]*$", "i");
const HINT = "(The model isn't sure enough of its answer, so this page hides it. Try one of the "
  + "questions below.)";
const TALK = "(Hello! This line is the page's. The model was never tuned on small talk. Try one of "
  + "the questions below.)";
const percent = (p) => `${(100 * p).toFixed(1)}%`;
const pause = () => new Promise((go) => setTimeout(() => go(performance.now()))); // for drawing
let nAsked = 0;

// The card of one column, and what is filled in later. nCut: tokens that did not fit in the prompt.
function makeCard([title, name, , target], prompt, nCut) {
  const text = element("p", { class: "text" }), end = element("small", {}, "…");
  const about = element("small", {}, definitions[title].textContent);
  const card = element("article", { class: name }, element("h3", {}, title), about, text, end);
  if (prompt) {
    const ids = prompt.flatMap(([ids]) => ids);
    const cut = nCut ? ` (${nCut} more did not fit)` : "";
    const summary = element("summary", {}, `The prompt: ${ids.length} tokens${cut}`);
    card.append(element("details", {}, summary, element("pre", {}, ...spans(prompt))));
  }
  target.append(card);
  return { card, text, end };
}

// Move an answer behind a hint.
function hideAnswer({ text, end }, answer, hint, onOpen) {
  const reason = `Confidence: ${percent(answer.confidence)}, the product of the probabilities of `
    + `the first ${data.n_first} tokens. Below ${percent(data.threshold)} the answer is hidden.`;
  const hidden = element("details", { class: "unsure", toggle: onOpen },
    element("summary", {}, "Show the answer anyway"),
    element("p", { class: "text" }, answer.text), element("small", {}, reason));
  text.replaceChildren(hint);
  text.after(hidden);
  end.textContent = "";
}

// Let one column answer. The text is shown as it grows, unless a newer question came meanwhile. An
// answer that may have to be hidden is not shown before its confidence is known.
async function answer(turn, column, number) {
  const [title, name, template] = column;
  const parts = promptParts(turn, template), prompt = parts.flatMap(([ids]) => ids);
  const nAll = promptParts(turn, template, Infinity).flatMap(([ids]) => ids).length;
  const view = makeCard(column, parts, nAll - prompt.length);
  const threshold = name === "base" ? 0 : data.threshold;
  const small = threshold > 0 && !turn.input && SMALL_TALK.test(turn.instruction.trim());
  const unsure = (confidence) => small || confidence < threshold;
  let drawn = await pause();
  const { ids, confidence } = await generate(models[name], prompt, async (ids, confidence) => {
    const known = !threshold || ids.length >= data.n_first;
    if (known && !unsure(confidence)) view.text.textContent = tokenizer.decode(ids).trimStart();
    if (performance.now() - drawn > 15) drawn = await pause();
    return number === nAsked;
  });
  const stopped = ids.at(-1) === tokenizer.eosId;
  const text = tokenizer.decode(stopped ? ids.slice(0, -1) : ids);
  const length = `${ids.length} ${ids.length === 1 ? "token" : "tokens"}`;
  view.text.textContent = text.trim() || "(nothing)";
  view.end.textContent = stopped ? `stopped after ${length}` : `didn't stop, cut off at ${length}`;
  const result = { title, name, prompt, ids, text, confidence, hidden: unsure(confidence) };
  if (result.hidden)
    hideAnswer(view, result, small ? TALK : HINT, () => {
      result.hidden = false;
      if (results.includes(result)) showChanged(result);
    });
  result.said = `${title}: ${view.text.textContent}`;
  return result;
}

let results = []; // of the tuned models, for part 2

async function ask(turn) {
  const number = ++nAsked, start = performance.now();
  for (const name of ["instruction", "input"]) byId(name).value = turn[name];
  for (const [, , , target] of columns) target.replaceChildren();
  const all = [];
  for (const some of [columns.slice(0, 2), columns.slice(2)])
    all.push(...await Promise.all(some.map((column) => answer(turn, column, number))));
  if (number !== nAsked) return;

  const read = all.flatMap(({ prompt, ids }) => [...prompt, ...ids]).length;
  const seconds = (performance.now() - start) / 1000;
  const speed = Math.round(read / seconds);
  byId("speed").textContent = `${read} tokens read and written, ${speed} tokens per second`;
  byId("status").textContent = all.map((result) => result.said).join("; ");
  results = all.filter((result) => result.name !== "base");
  showChanged(results[0]);
  performance.mark("answered");
}

// For models that are too big: show what they answered when the page was made.
function showExample(turn, i) {
  byId("question").textContent = [turn.instruction, turn.input].filter(Boolean).join(" ");
  for (const [, , , target] of columns) target.replaceChildren();
  const row = questions.find(({ cells: [cell] }) => cell.firstChild.textContent === turn.instruction
    && cell.querySelector("q").textContent === turn.input);
  for (const column of columns) {
    const cell = row?.querySelector(`[data-of="${column[0]}"]`);
    if (!cell) continue;
    const view = makeCard(column), text = cell.textContent;
    view.text.textContent = text;
    view.end.textContent = text.endsWith(" …") ? "didn't stop, cut off" : "stopped by itself";
  }
  showTokens(data.traces[i], null);
}

// -------------------------------------------------------------------------------------------------
// 2. What tuning changed, token by token

function showChanged(result) {
  const options = results.map((one, i) => [i, one.name]), chosen = results.indexOf(result);
  const menu = select("Compare the base with", options, (i) => showChanged(results[i]), chosen);
  byId("compared").replaceChildren(...(results.length > 1 ? [menu] : []));
  if (result.hidden) {
    byId("tokens").replaceChildren("The answer is hidden above. Show it there to see its tokens.");
    byId("choices").replaceChildren();
    return;
  }
  const { name, prompt, ids } = result;
  showTokens(trace(prompt, ids, models.base, models[name]), async (start) => {
    const room = start.at(-1) === tokenizer.eosId ? 0 : data.max_new - start.length;
    const more = await generate(models[name], [...prompt, ...start], undefined, room);
    const next = { ...result, ids: [...start, ...more.ids] };
    results = results.with(chosen, next);
    showChanged(next);
  });
}

// A token by itself; a part of a character as its bytes.
function tokenText(id) {
  const text = tokenizer.decode([id]).replaceAll("\n", "⏎").replace(/^ /, "␣");
  const hex = (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return text.includes("\ufffd") ? Array.from(tokenizer.tokens[id], hex).join("") : text;
}

function ordinal(n) {
  const teen = n % 100 > 10 && n % 100 < 14;
  return n + ((!teen && { 1: "st", 2: "nd", 3: "rd" }[n % 10]) || "th");
}

// One model's most probable tokens here. pick(id), if there is one, goes on from another token.
function choicesTable(name, choices, pick) {
  const rows = choices.map(([id, p]) => {
    const text = element("code", {}, tokenText(id));
    const attributes = { title: "continue from here", click: () => pick(id) };
    const meter = element("meter", { value: p, "aria-hidden": "true" });
    const cells = [pick ? element("button", attributes, text) : text, meter, percent(p)];
    return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
  });
  const caption = `${name}: the five most probable tokens here`;
  return element("table", {}, element("caption", {}, caption), ...rows);
}

// branch(ids) continues the answer from these ids; null if the models are not in the page.
function showTokens(tokens, branch) {
  const pieces = tokenizer.pieces(tokens.map((token) => token.id));
  const buttons = tokens.map(({ id, rank }, i) => {
    const kind = rank === 1 ? "unshifted" : rank <= 3 ? "marginal" : "shifted";
    const choice = rank === 1 ? "first" : ordinal(rank);
    const title = `${tokenText(id)}: ${kind}, the base's ${choice} choice`;
    const text = pieces[i].replaceAll("\n", "⏎") || "·"; // of several tokens of a character
    const attributes = { class: kind, title, "aria-label": title, click: () => choose(i) };
    return element("button", attributes, text);
  });
  const choose = (i) => {
    buttons.forEach((button, j) => button.setAttribute("aria-pressed", i === j));
    const before = tokens.slice(0, i).map((token) => token.id);
    const pick = branch && ((id) => branch([...before, id]));
    const tables = ["base", "tuned"].map((name) => choicesTable(name, tokens[i][name], pick));
    byId("choices").replaceChildren(...tables);
  };
  byId("tokens").replaceChildren(...buttons);
  byId("tokens").onkeydown = (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const next = buttons[buttons.indexOf(event.target) + move];
    if (next) next.focus(), next.click();
  };
  choose(Math.max(0, tokens.findIndex((token) => token.rank > 1)));
}

// -------------------------------------------------------------------------------------------------
// 3. What the loss sees

function showPairs(template) {
  const lists = document.querySelectorAll("#pairs pre");
  data.pairs.forEach(({ turns, system }, i) =>
    lists[i].replaceChildren(...spans(encode(render(turns, template, system)))));
}

// -------------------------------------------------------------------------------------------------
// 4. Did it work?

const KINDS = [["all", "all"], ["better", "base wrong, tuned right"], ["both", "both wrong"],
  ["wrong", "tuned wrong"]];
const questions = [...byId("questions").tBodies[0].rows];

function showQuestions(filter, limit = 10) {
  const matches = questions.filter((row) => {
    row.hidden = true;
    const fits = (key) => ["", row[key]].includes(filter[key]);
    return fits("split") && fits("task") && row.kinds.includes(filter.show)
      && row.textContent.toLowerCase().includes(filter.text.toLowerCase());
  });
  matches.slice(0, limit).forEach((row) => (row.hidden = false));
  byId("matches").textContent = `${matches.length} questions`;
  byId("more").hidden = matches.length <= limit;
  byId("more").onclick = () => showQuestions(filter, limit + 50);
  byId("link").href = `#${new URLSearchParams(filter)}`;
}

// A table as cards: every row is a small grid, and every cell has its column's name.
function nameCells(table) {
  const names = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
  for (const row of table.tBodies[0].rows)
    [...row.cells].forEach((cell, i) => (cell.dataset.of = names[i]));
}

// Put the meaning of each word where the word is. What is not in the table is not explained.
function explainScores() {
  const table = document.querySelector(".scores");
  nameCells(table);
  if (innerWidth < 700) table.classList.add("cards");
  const heads = [...table.querySelectorAll("th")];
  for (const [term, definition] of Object.entries(definitions)) {
    const head = heads.find((one) => one.firstChild?.textContent === term);
    if (head) head.title = definition.textContent;
    if (head?.scope === "row") head.append(element("small", {}, definition.textContent));
    if (head?.scope !== "col") definition.previousElementSibling.remove(), definition.remove();
  }
}

// The list of questions, as cards with filters. It is "better" where only tuning made it right.
function startQuestions() {
  nameCells(byId("questions"));
  byId("questions").classList.add("cards");
  for (const row of questions) {
    const right = (name) => row.querySelector(`[data-of="${name}"] .right`) !== null;
    const base = right("base raw") || right("base template"), tuned = right("tuned");
    [row.split, row.task] = row.querySelector("small").textContent.split(/, (.*)/);
    row.kinds = ["all", !base && tuned && "better", !base && !tuned && "both", !tuned && "wrong"];
  }
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const shared = "show" in given;
  const show = questions.some((row) => row.kinds.includes("better")) ? "better" : "all";
  const filter = { show, split: "", task: "", text: "", ...(shared && given) };

  // The controls.
  const change = (key) => (value) => showQuestions(Object.assign(filter, { [key]: value }));
  const values = (key) => {
    const names = new Set(questions.map((row) => row[key]));
    return [["", "all"], ...Array.from(names, (name) => [name, name.replaceAll("_", " ")])];
  };
  const options = { show: KINDS, split: values("split"), task: values("task") };
  for (const key in options)
    byId("filters").append(select(key, options[key], change(key), filter[key]));
  const search = element("input", { type: "search", value: filter.text });
  search.oninput = () => change("text")(search.value);
  const copy = () => navigator.clipboard?.writeText(byId("link").href);
  byId("filters").append(element("label", {}, "text ", search),
    element("output", { id: "matches" }), element("a", { id: "link", click: copy }, "copy a link"));
  showQuestions(filter);
  byId("all").querySelector("summary").textContent = `All ${questions.length} held-out questions`;
  if (shared) {
    byId("all").open = true;
    byId("filters").scrollIntoView();
  }
}

// -------------------------------------------------------------------------------------------------
// 5. How it learned

const BOX = { left: 46, right: 310, top: 24, bottom: 140 }; // of a chart, in a picture of 320 x 170

function svg(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// The loss of one stage: [[step, loss], ...].
function curve(stage, points) {
  const [first, last] = [points[0], points.at(-1)], { left, right, top, bottom } = BOX;
  const highest = Math.ceil(Math.max(...points.map(([, loss]) => loss)));
  const x = (step) => left + (right - left) * step / Math.max(1, last[0]);
  const y = (loss) => bottom - (bottom - top) * loss / highest;
  const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor }, words);
  const middle = (left + right) / 2;
  const title = `${stage}: loss ${first[1].toFixed(2)} at step ${first[0]}, `
    + `${last[1].toFixed(2)} at step ${last[0]}`;
  const picture = svg("svg", { viewBox: "0 0 320 170", role: "img", "aria-label": title },
    svg("path", { d: `M${left} ${top}V${bottom}H${right}` }),
    svg("polyline", { points: points.map(([step, loss]) => `${x(step)},${y(loss)}`).join(" ") }),
    svg("path", { class: "now", "data-stage": stage }),
    text(4, 12, "start", "loss per token (nats)"), text(middle, 164, "middle", "step"),
    text(left - 6, top + 4, "end", highest), text(left - 6, bottom + 4, "end", 0),
    text(left, bottom + 14, "middle", 0), text(right, bottom + 14, "end", last[0]));
  picture.querySelector(".now").position = x;
  return element("figure", {}, element("figcaption", {}, title), picture);
}

function startCurves() {
  const stages = {};
  for (const [stage, step, loss] of data.losses) (stages[stage] ??= []).push([step, loss]);
  byId("curves").append(...Object.entries(stages).map(([stage, points]) => curve(stage, points)));
  if (!data.losses.length) byId("curves").append("No log was found beside the tuned checkpoint.");
}

function startSlider() {
  const texts = (row) => Array.from(row.cells, (cell) => cell.textContent);
  const steps = Array.from(byId("steps").tBodies[0].rows, texts);
  if (!steps.length) return;
  const slider = element("input", { type: "range", max: steps.length - 1, value: 0 });
  const line = element("p", { class: "text" });
  slider.oninput = () => {
    const [stage, step, prompt, answer] = steps[slider.value];
    const end = answer.endsWith(" …") ? "" : " (stops)";
    const head = element("b", {}, `${stage}, step ${step}: `);
    line.replaceChildren(head, prompt, " → ", element("mark", {}, answer), end);
    slider.setAttribute("aria-valuetext", line.textContent);
    for (const mark of document.querySelectorAll(".now")) {
      const here = `M${mark.position(step)} ${BOX.top}V${BOX.bottom}`;
      mark.setAttribute("d", mark.dataset.stage === stage ? here : "");
    }
  };
  byId("slider").append(element("label", {}, "Move through the steps ", slider), line);
  slider.oninput();
}

// -------------------------------------------------------------------------------------------------
// The start

function startAsking() {
  const [form, instruction, input] = ["form", "instruction", "input"].map(byId);
  form.hidden = !inPage;
  form.onsubmit = () => {
    if (instruction.value.trim()) ask({ instruction: instruction.value, input: input.value });
    return false;
  };
  instruction.onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return true;
    form.requestSubmit();
    return false;
  };
  const show = inPage ? ask : showExample;
  for (const [i, turn] of data.examples.entries()) {
    const button = element("button", { click: () => show(turn, i) }, turn.instruction);
    if (turn.input) button.title = turn.input;
    byId("examples").append(button);
  }
  const others = columns.slice(2).map(([title]) => title).join(" and ");
  byId("others").querySelector("summary").textContent = `Also: ${others}`;
  show(data.examples[0], 0);
}

function start() {
  if (inPage) {
    models.base = new GPT(unpack(data.models.base));
    for (const name of Object.keys(data.models).slice(1))
      models[name] = new GPT(addTo(models.base.weights, data.models[name]));
    byId("here").textContent = "Both models are stored in this file (weights rounded to "
      + `${data.models.base.bits} bits) and run in your browser, offline. Each picks its most `
      + "probable next token, one after the other.";
    byId("branch").textContent = "Click one of those to continue the answer from it.";
  } else {
    byId("here").textContent = "The models are too big for this page. Their answers were computed "
      + "when it was made. Each picks its most probable next token, one after the other.";
  }
  for (const part of document.querySelectorAll("[hidden]")) part.hidden = false;
  byId("templates").hidden = !inPage;
  byId("invented").hidden = !data.threshold;
  for (const part of document.querySelectorAll("section + section"))
    byId("parts").append(element("a", { href: `#${part.id}` }, part.firstElementChild.textContent));
  const [, owner] = location.host.match(/^(.+)\.github\.io$/) ?? [];
  if (owner) { // on GitHub Pages, the project is beside its page
    const href = `https://github.com/${owner}${location.pathname.match(/^\/[^/]*/)[0]}`;
    byId("project").replaceChildren(element("a", { href }, "the minSFT project"));
  }
  startQuestions();
  explainScores();
  startCurves();
  startSlider();
  if (inPage) {
    const names = Object.keys(data.templates).map((name) => [name, name]);
    byId("templates").append(select("Template", names, showPairs, data.template));
    showPairs(data.template);
  }
  startAsking();
}

start();
