"""The measuring code of lesson 15: a real base model, tuned with an adapter."""

import time
from collections import namedtuple
from dataclasses import replace

import lab
import torch

import train_sft
from common import table
from common.lora import add_lora
from common.page.trace import trace
from common.speed import supports_bf16
from data import IGNORE, Row, Turn, collate, epoch_batches, prepare
from gemma.load import load_gemma
from gemma.pairs import load_pairs
from generate import Assistant, Sampling

STEPS, BATCH, RANK, RATE = (1, 2, 8, 1e-3) if lab.FAST else (24, 8, 8, 1e-3)
OWN_STEPS = 1 if lab.FAST else 10
N_HELD_OUT = 2 if lab.FAST else 24
N_VALIDATION = 1 if lab.FAST else 16  # pairs that are never trained on
N_TRACED = 1 if lab.FAST else 12  # answers that are looked at token by token
N_FIRST = 1 if lab.FAST else 16  # tokens of the base's answers
SHORT = Sampling(max_new_tokens=2 if lab.FAST else 40)
DTYPE = torch.bfloat16 if supports_bf16("cpu") else torch.float32
# The sizes that its cost depends on. block: numbers in a block's matrices; attention: width of its
# queries. GPT-2's block is 12 C squared; the others have three MLP matrices, and Gemma's keys and
# values are narrow.
Shape = namedtuple("Shape", "V C L block attention")
SHAPES = {
    "GPT-2 124M": Shape(50257, 768, 12, 12 * 768**2, 768),
    "GPT-2 1.5B": Shape(50257, 1600, 48, 12 * 1600**2, 1600),
    "Gemma 270M": Shape(262144, 640, 18, 640 * 1536 + 1024 * 640 + 3 * 640 * 2048, 1024),
    "Llama 2 7B": Shape(32000, 4096, 32, 4 * 4096**2 + 3 * 4096 * 11008, 4096),
}
# all numbers of a model, in billions
BILLIONS = {"GPT-2 124M": 0.124, "GPT-2 1.5B": 1.558, "Gemma 270M": 0.268, "Llama 2 7B": 6.738}
# GPT-2's tokens (for the other models, too), share that is supervised, length of a row
DATA = {"Alpaca": (5_647_131, 0.538, 109), "Dolly": (3_131_177, 0.385, 209)}


def load() -> tuple:
    """Load Gemma. Returns the base as an Assistant without a template, pairs, held-out rows."""
    model, tokenizer = load_gemma(dtype=DTYPE)
    loaded = load_pairs("dev")
    pairs = [row for row in loaded.rows if len(row.turns) == 1]
    held_out = loaded.splits["tuned_families"][:N_HELD_OUT]
    return Assistant(model, tokenizer, None), pairs, held_out


def make_examples(assistant: Assistant, rows: list[Row], with_mask) -> list:
    """Make (ids, mask) of single-turn rows with the lesson's with_mask."""
    tokenizer, examples = assistant.tokenizer, []
    for row in rows:
        instruction, text, output = row.turns[0]
        prompt = lab.prompt_ids(tokenizer, "alpaca", instruction, text)
        ids, mask = with_mask(prompt, tokenizer.encode(output), tokenizer.eos_id)
        examples.append((list(ids), list(mask)))
    return examples


def count_same(assistant: Assistant, rows: list[Row], examples: list) -> int:
    """Count the examples that are what the project makes."""
    block = assistant.model.config.block_size
    theirs = prepare(rows, assistant.tokenizer, "alpaca", block)[0]
    return sum(mine == other for mine, other in zip(examples, theirs))


def compare_loss(assistant: Assistant, examples: list, summed_loss) -> tuple[float, float]:
    """Compute the loss of two examples with the lesson's function, and with the project's."""
    model = assistant.model
    inputs, targets = collate(examples[:2], assistant.tokenizer.eos_id)
    with torch.inference_mode():
        mine = summed_loss(model.hidden(inputs), model.wte.weight.float(), targets).item()
        return mine, model(inputs, targets).item()


def add_adapter(base: Assistant) -> tuple[Assistant, Assistant]:
    """Put an adapter beside the base's layers. Returns (tuned, the same with the adapter off)."""
    add_lora(base.model, RANK, 2 * RANK, base.model.lora_targets)
    tuned = Assistant(base.model, base.tokenizer, "alpaca")
    return tuned, replace(tuned, lora=False)


@torch.inference_mode()
def validation_loss(assistant: Assistant, examples: list) -> float:
    """Compute the mean loss of the supervised tokens of examples that are never trained on."""
    inputs, targets = collate(examples, assistant.tokenizer.eos_id, multiple=16)
    n_tokens = int((targets != IGNORE).sum())
    return assistant.model(inputs, targets).item() / n_tokens


def tune(assistant: Assistant, examples: list, validation: list, steps: int = STEPS) -> tuple:
    """Train the adapter. Returns its CPU seconds, (tokens, supervised, length) of each batch, and
    the validation losses before and after."""
    model, eos = assistant.model, assistant.tokenizer.eos_id
    trained = [p for p in model.parameters() if p.requires_grad]
    batches, epoch = [], 0
    while len(batches) < steps:
        batches += epoch_batches(examples, BATCH, epoch)
        epoch += 1
    sizes = []
    for batch in batches[:steps]:
        inputs, targets = collate(batch, eos, multiple=16)
        sizes.append((inputs.numel(), int((targets != IGNORE).sum()), inputs.shape[1]))

    before = validation_loss(assistant, validation)
    start = time.process_time()
    optimizers = [train_sft.adamw(trained, RATE)]
    train_sft.tune(model, examples, steps, optimizers, BATCH, 0, eos)
    seconds = time.process_time() - start
    after = validation_loss(assistant, validation)
    print(f"{steps} steps, {seconds:.0f} CPU seconds, {sum(p.numel() for p in trained):,} numbers"
          f" trained; validation loss {before:.2f} before, {after:.2f} after")  # fmt: skip
    return seconds, sizes, (before, after)


def evaluate(assistants: dict, rows: list[Row]) -> dict:
    """Ask the held-out prompts. Returns {name: {"stopped": flags, "right": .., "begins": ..,
    "texts": [..]}}. "begins" is lenient: the answer counts if it begins right."""
    results = {}
    for name, assistant in assistants.items():
        answers = table.score(assistant, rows, SHORT)["answers"]
        begins = []
        for row, (text, _, right) in zip(rows, answers):
            begins.append(bool(right) or table.begins_right(row, text))
        results[name] = {
            "texts": [text.strip() for text, *_ in answers],
            "stopped": [stopped for _, stopped, _ in answers],
            "right": [bool(right) for *_, right in answers],
            "begins": begins,
        }
        shown = [f"{key} {sum(results[name][key])}" for key in ("stopped", "right", "begins")]
        print(f"{name:<16} of {len(rows)}: " + ", ".join(shown))
    return results


def report(new: list[bool], old: list[bool], subject: str) -> None:
    """Say whether a share rose, by the interval of the difference."""
    lab.finding(
        *lab.difference([new], [old])[1:],
        f"{subject}: more than before.",
        f"{subject}: fewer than before.",
        f"{subject}: no difference that we can measure with so few prompts.",
    )


def show_errors(rows: list[Row], result: dict, n: int = 10) -> None:
    """Print n answers that are not right."""
    wrong = [(row, text) for row, text, ok in zip(rows, result["texts"], result["right"]) if not ok]
    for row, text in wrong[:n]:
        print(f"{row.turns[0].instruction} -> {text[:90]!r}")


def ranks_of(base: Assistant, tuned: Assistant, rows: list[Row]) -> list[list[int]]:
    """Find the rank that each token of the tuned model's answers has among the base's choices.

    Prints the first two answers. Only answers that stopped: the last token is the eos."""
    eos, ranks = tuned.tokenizer.eos_id, []
    prompts = [tuned.prompt(row.turns) for row in rows[:N_TRACED]]
    for prompt, (ids, stopped) in zip(prompts, tuned.complete(rows[:N_TRACED], prompts, SHORT)):
        if stopped or lab.FAST:
            tokens = trace(base, tuned, prompt, ids + [eos])
            ranks.append([token["rank"] for token in tokens])
            if len(ranks) <= 2:
                words = [show_token(tuned, token) for token in tokens]
                print("  ".join(words))
    return ranks


def show_token(assistant: Assistant, token: dict) -> str:
    """Format a token and its rank: "' Rome':1"."""
    is_eos = token["id"] == assistant.tokenizer.eos_id
    text = "<eos>" if is_eos else repr(assistant.tokenizer.decode([token["id"]]))
    return f"{text}:{token['rank']}"


def own_rows(pairs: list[dict]) -> list[Row]:
    """Turn the learner's pairs into rows."""
    return [Row((Turn(pair["instruction"], "", pair["output"]),)) for pair in pairs]


def matrix_rate(n: int = 1024) -> float:
    """Measure the best rate of this machine, in FLOPs a core-second, by large matrix products."""
    a = torch.randn(n, n).to(DTYPE)
    times = []
    for _ in range(3 if lab.FAST else 8):
        start = time.process_time()
        torch.mm(a, a)
        times.append(time.process_time() - start)
    return 2 * n**3 / min(times)


def show_costs(training_flops, rate: float, gpu_rate: float, price: float) -> None:
    """Print the cost of three epochs on two data sets, by the lesson's formula."""
    arms = {name: (name, False) for name in SHAPES}  # label: (model, frozen)
    arms["with LoRA"] = ("Llama 2 7B", True)
    for data, (tokens, share, length) in DATA.items():
        for label, (name, frozen) in arms.items():
            work = 3 * training_flops(SHAPES[name], tokens, share * tokens, length, frozen)
            memory = (4 if frozen else 16) * BILLIONS[name]
            hours, gpu_hours = work / rate / 3600, work / gpu_rate / 3600
            print(f"{data:<7} {label:<11} {work:.1e} FLOPs {memory:>6.1f} GB   this core"
                  f" {hours:>7,.0f} h at its best   GPU {gpu_hours:>5.2f} h,"
                  f" ${price * gpu_hours:.2f}")  # fmt: skip
