"""GGUF, the file format of llama.cpp: a reader, and a writer for small files.

It turns a file into names and numbers, and knows nothing of language models.

A GGUF file has four parts: a header; named values (sizes, the vocabulary); a table of the tensors;
their numbers (docs/gguf.md in ggml's repository). Most tensors are quantized: their numbers are cut
into blocks, and a block keeps a few bits for each number and a scale that all of them share. The
layouts are C structs in ggml-common.h, and ggml-quants.c computes with them.
"""

import math
import struct

import numpy as np
import torch

from common.cli import require

ALIGNMENT = 32  # the numbers of a tensor start at a multiple of so many bytes
CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
FLOAT, TEXT, ARRAY = 6, 8, 9  # three kinds of values
AT_ONCE = 65536  # so many blocks are unpacked at a time, which bounds the memory

# ------------------------------------------------------------------------------------------------
# Blocks -> numbers. `raw` has one row of bytes for each block, (n, bytes). The result is float32,
# (n, numbers). Integers of four to six bits are stored without a sign.


def half(raw):
    """Two bytes a row -> one float16 a row, as float32. (n, 2) -> (n, 1)"""
    return raw.copy().view(np.float16).astype(np.float32)


def split_bits(raw, width, bits):
    """Cut bytes into numbers of 4 or 2 bits: of each `width` bytes first all the lowest bits, then
    the next ones. (n, bytes) -> (n, bytes * 8 / bits)"""
    groups = raw.reshape(len(raw), -1, 1, width)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return (groups >> shifts & (2**bits - 1)).reshape(len(raw), -1)


def unpack_f32(raw):
    """F32 is not quantized: each number is its own block."""
    return raw.copy().view(np.float32)


def unpack_q8_0(raw):
    """Q8_0, 32 numbers in 34 bytes: a scale, then a signed byte for each number."""
    return half(raw[:, :2]) * raw[:, 2:].view(np.int8)


def unpack_q5_0(raw):
    """Q5_0, 32 numbers in 22 bytes: a scale, the fifth bits of all numbers, then their lower four
    bits. 16 is subtracted to give them a sign."""
    fifth = np.unpackbits(raw[:, 2:6], axis=1, bitorder="little")
    low = split_bits(raw[:, 6:], 16, bits=4)
    return half(raw[:, :2]) * ((low | fifth << 4).astype(np.int8) - 16)


def unpack_q4_k(raw):
    """Q4_K, 256 numbers in 144 bytes: two scales of the block, then for each of 8 groups six bits
    of its own scale and of its minimum, then four bits a number. A number is scale * bits -
    minimum."""
    # Four groups keep their six bits together. The others have four of them in the last four bytes,
    # and the upper two in the unused ends of the first eight.
    first, second, rest = raw[:, 4:8], raw[:, 8:12], raw[:, 12:16]
    scale = np.concatenate((first & 63, rest & 15 | first >> 6 << 4), axis=1)  # (n, 8)
    minimum = np.concatenate((second & 63, rest >> 4 | second >> 6 << 4), axis=1)  # (n, 8)

    scale, minimum = half(raw[:, :2]) * scale, half(raw[:, 2:4]) * minimum
    numbers = split_bits(raw[:, 16:], 32, bits=4).reshape(-1, 8, 32)
    return (scale[..., None] * numbers - minimum[..., None]).reshape(-1, 256)


def unpack_q6_k(raw):
    """Q6_K, 256 numbers in 210 bytes: the lower four bits of all numbers, their upper two bits, a
    signed byte as the scale of each 16 numbers, a scale of the block. 32 is subtracted."""
    low, high = split_bits(raw[:, :128], 64, bits=4), split_bits(raw[:, 128:192], 32, bits=2)
    numbers = ((low | high << 4).astype(np.int8) - 32).reshape(-1, 16, 16)
    scale = half(raw[:, 208:]) * raw[:, 192:208].view(np.int8)  # (n, 16)
    return (scale[..., None] * numbers).reshape(-1, 256)


FORMATS = {  # as a file numbers them: numbers of a block, its bytes, the function that unpacks it
    0: (1, 4, unpack_f32), 6: (32, 22, unpack_q5_0), 8: (32, 34, unpack_q8_0),
    12: (256, 144, unpack_q4_k), 14: (256, 210, unpack_q6_k),
}

# ---- The file ------------------------------------------------------------------------------------


class GGUF:
    """An open file: its `values` by name, and its `tensors`, still packed.

    `file` is an array of bytes, perhaps a memory map. Raises one of Python's own errors where it is
    no GGUF file or breaks off."""

    def __init__(self, file):
        self.file, self.at = memoryview(file), 4  # `at` is the place of the next value
        require(bytes(self.file[:4]) == b"GGUF")
        self.read("I")  # the version
        n_tensors, n_values = self.read("Q"), self.read("Q")
        self.values = {self.text(): self.value(self.read("I")) for _ in range(n_values)}
        self.tensors = {self.text(): self.place() for _ in range(n_tensors)}
        self.start = self.at + -self.at % ALIGNMENT

    def read_array(self, code, n):
        """Read n numbers of one C type. Returns a tuple."""
        layout = struct.Struct(f"<{n}{code}")
        self.at += layout.size
        return layout.unpack_from(self.file, self.at - layout.size)

    def read(self, code):
        return self.read_array(code, 1)[0]

    def text(self):
        size = self.read("Q")
        self.at += size
        return str(self.file[self.at - size : self.at], "utf-8")

    def value(self, kind):
        """Read a number, a text, or an array of one of them."""
        if kind == TEXT:
            return self.text()
        if kind != ARRAY:
            return self.read(CODES[kind])
        kind, n = self.read("I"), self.read("Q")
        return [self.text() for _ in range(n)] if kind == TEXT else self.read_array(CODES[kind], n)

    def place(self):
        """Read where a tensor is -> (shape, format, first byte after the table)."""
        shape = self.read_array("Q", self.read("I"))[::-1]  # a file counts dimensions from the last
        return shape, self.read("I"), self.read("Q")

    def unpack(self, name, dtype=torch.float32):
        """Unpack the tensor called `name`. Returns it in `dtype`."""
        shape, kind, first = self.tensors[name]
        numbers, size, unpack = FORMATS[kind]
        n = math.prod(shape) // numbers
        raw = np.frombuffer(self.file, np.uint8, n * size, self.start + first).reshape(n, size)

        out = torch.empty(n, numbers, dtype=dtype)
        for i in range(0, n, AT_ONCE):
            out[i : i + AT_ONCE] = torch.from_numpy(unpack(raw[i : i + AT_ONCE]))
        return out.view(shape)


def pack(value):
    """A text -> its length and its bytes; a float -> its bytes."""
    if isinstance(value, float):
        return struct.pack("<f", value)
    return struct.pack("<Q", len(value.encode())) + value.encode()


def write_gguf(file, values, tensors):
    """Write texts and floats, {name: value}, and float32 tensors, {name: tensor}."""
    head, numbers = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)), b""
    for name, value in values.items():
        kind = FLOAT if isinstance(value, float) else TEXT
        head += pack(name) + struct.pack("<I", kind) + pack(value)
    for name, tensor in tensors.items():
        shape = tensor.shape[::-1]
        head += pack(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(numbers))
        numbers += tensor.detach().cpu().contiguous().numpy().tobytes()
        numbers += bytes(-len(numbers) % ALIGNMENT)
    file.write(head + bytes(-len(head) % ALIGNMENT) + numbers)
