// Greedy answers of llama.cpp: node ask_llama.mjs BASE.gguf ADAPTER.gguf-or-"" PROMPTS.json
// -> a line of JSON: for each prompt its tokens and the ids of the answer; for prompts that do not end
// like one ("### Response:\n"), the tokens alone. Needs `npm i node-llama-cpp`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const here = createRequire(process.cwd() + "/");
const { getLlama } = await import(pathToFileURL(here.resolve("node-llama-cpp")));
const [base, adapter, file] = process.argv.slice(2);
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 1 });
const model = await llama.loadModel({ modelPath: base });
const options = adapter ? { lora: { adapters: [{ filePath: adapter }] } } : {};
const context = await model.createContext({ contextSize: 512, threads: 1, ...options });
const sequence = context.getSequence();
const answers = [];
for (const prompt of JSON.parse(readFileSync(file, "utf8"))) {
  await sequence.clearHistory();
  const tokens = model.tokenize(prompt, false);
  const ids = [];
  const start = [model.tokens.bos, ...tokens];
  if (prompt.endsWith("### Response:\n")) {
    for await (const id of sequence.evaluate(start, { temperature: 0 })) {
      if (id === model.tokens.eos || ids.length === 24) break;
      ids.push(id);
    }
  }
  answers.push({ tokens, ids });
}
console.log(JSON.stringify(answers));
process.exit(0);
