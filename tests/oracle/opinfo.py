#!/usr/bin/env python3
"""Writes what PyTorch answers to its own OpInfo sample inputs, for tests/test_opinfo.c.

For each entry of torch.testing._internal.common_methods_invocations.op_db, for some of its samples: the arguments, the
outputs, the gradients of sum(c * output) over all differentiable outputs with respect to each differentiable input, and
the gradients of sum(d * gradient) over all of those, for fixed numbers c and d (function weights). Samples are drawn in
f64 where an entry has it, else in the first of i32, i64, bool and f32 that it has. clgrad has f32, f64, i32 and u8:
i64 and the other integers are written as i32 (a sample with a number out of its range is left out), bool as u8, f16 and
bf16 as f32. Of complex numbers nothing is written.

The file is a gzip stream. Its first line is a JSON object: "torch" (the version), "seed", "entries" (name, number of
samples that PyTorch has, how many of them are written, and what was wrong with the others). Then for each sample a line
with a JSON object, whose "bytes" bytes of tensors' elements, little-endian, follow it directly: those of "tensors" in
their order. "args" holds positional arguments, "kwargs" the others; {"tensor": i} is number i of "tensors", also in
"outputs", "gradients" and "second". An entry that tests/oracle/reasons.txt lists for good has no samples.
"""
import argparse
import gzip
import json
import math
import os
import random
import sys
import warnings
import zlib

import torch

try:
    import numpy
except ImportError:
    numpy = None

SKIPPED_GROUPS = ("not yet",)  # entries listed under these are written nevertheless: rows for them will come
WRITTEN = {torch.float64: "f64", torch.float32: "f32", torch.float16: "f32", torch.bfloat16: "f32", torch.bool: "u8",
           torch.uint8: "u8", torch.int32: "i32", torch.int64: "i32", torch.int16: "i32", torch.int8: "i32"}
STORED = {"f64": torch.float64, "f32": torch.float32, "u8": torch.uint8, "i32": torch.int32}


class Unwritable(Exception):
    pass


def weights(shape, number):
    """The numbers with which element i of an array is weighted: exact in binary, none 0. As in opinfo_run.c."""
    count = math.prod(shape)
    i = torch.arange(count, dtype=torch.int64)
    return (((i * 37 + number * 11) % 29).to(torch.float64) - 14.5).div(16).reshape(shape)


class Writer:
    """Collects one sample's tensors and describes its arguments."""

    def __init__(self):
        self.tensors, self.blocks, self.leaves, self.elements = [], [], [], 0

    def tensor(self, t, leaf=False):
        if t.layout != torch.strided or t.is_complex() or t.dtype not in WRITTEN:
            raise Unwritable("complex" if t.is_complex() else "sparse" if t.layout != torch.strided else str(t.dtype))
        name = WRITTEN[t.dtype]
        data = t.detach().resolve_neg().contiguous()
        if name == "i32" and data.numel() and (data.max() > 2**31 - 1 or data.min() < -2**31):
            raise Unwritable("integers beyond i32")
        data = data.to(STORED[name]).clone()
        self.tensors.append({"dtype": name, "shape": list(data.shape)})
        if leaf and t.requires_grad:
            self.tensors[-1]["grad"] = True
            self.leaves.append(t)
        self.blocks.append(data.numpy().tobytes())
        self.elements += data.numel()
        return {"tensor": len(self.tensors) - 1}

    def value(self, v):
        if isinstance(v, torch.Tensor):
            return self.tensor(v, leaf=True)
        if v is None or isinstance(v, (bool, str)):
            return v
        if isinstance(v, int):
            return v if abs(v) < 2**53 else {"other": "integer"}
        if isinstance(v, float):
            return v if math.isfinite(v) else {"float": str(v)}
        if isinstance(v, complex):
            raise Unwritable("complex")
        if isinstance(v, (list, tuple)):
            return [self.value(x) for x in v]
        if isinstance(v, torch.dtype):
            if v not in WRITTEN:
                raise Unwritable(str(v))
            return {"dtype": WRITTEN[v], "name": str(v)[6:]}
        if isinstance(v, slice):
            return {"slice": [v.start, v.stop, v.step]}
        if v is Ellipsis:
            return {"ellipsis": True}
        return {"other": type(v).__name__}


def flat(out):
    """Outputs as a list of tensors: numbers and booleans become tensors of rank 0."""
    if isinstance(out, torch.Tensor):
        return [out]
    if isinstance(out, (bool, int, float)):
        return [torch.tensor(out, dtype=torch.float64 if isinstance(out, float) else None)]
    if isinstance(out, (list, tuple)):
        return [t for o in out for t in flat(o)]
    raise Unwritable("output " + type(out).__name__)


def gradients(writer, record, outputs):
    """Adds the sample's gradients, and the second ones where PyTorch has them."""
    roots = [o for o in outputs if o.requires_grad]
    if not roots or not writer.leaves:
        return
    loss = sum((o * weights(o.shape, k)).sum() for k, o in enumerate(outputs) if o.requires_grad)
    first = torch.autograd.grad(loss, writer.leaves, create_graph=True, allow_unused=True)
    first = [torch.zeros_like(x) if g is None else g for g, x in zip(first, writer.leaves)]
    if any(g.layout != torch.strided for g in first):
        raise Unwritable("sparse gradient")
    record["gradients"] = [writer.tensor(g) for g in first]
    roots = [g for g in first if g.requires_grad]
    if not roots:
        second = [None] * len(first)
    else:
        loss = sum((g * weights(g.shape, 100 + k)).sum() for k, g in enumerate(first) if g.requires_grad)
        try:
            second = torch.autograd.grad(loss, writer.leaves, allow_unused=True)
        except (RuntimeError, NotImplementedError) as e:
            record["no_second"] = str(e).split("\n")[0][:100]
            return
    record["second"] = [writer.tensor(torch.zeros_like(x) if g is None else g)
                        for g, x in zip(second, writer.leaves)]


def detached(v):
    """The same arguments, in which every tensor is a leaf: gradients with respect to views may not be found."""
    if isinstance(v, torch.Tensor):
        return v.detach().requires_grad_(v.requires_grad)
    if isinstance(v, (list, tuple)) and type(v) in (list, tuple):
        return type(v)(map(detached, v))
    return {k: detached(x) for k, x in v.items()} if isinstance(v, dict) else v


def sample_record(op, name, sample):
    """One sample as (JSON object, bytes). Unwritable where clgrad has no such types."""
    w = Writer()
    given, args, kwargs = detached(sample.input), detached(sample.args), detached(sample.kwargs)
    record = {"op": name}
    record["args"] = [w.value(v) for v in (given, *args)]
    if name == "__getitem__" and isinstance(args[0], tuple):  # x[1, 2] is not x[[1, 2]]
        record["args"][1] = {"tuple": record["args"][1]}
    record["kwargs"] = {k: w.value(v) for k, v in kwargs.items()}
    outputs = flat(op(given, *args, **kwargs))
    record["outputs"] = []
    for o in outputs:
        record["outputs"].append({**w.tensor(o), "grad": bool(o.requires_grad)})
    gradients(w, record, outputs)
    record["tensors"] = w.tensors
    record["bytes"] = sum(map(len, w.blocks))
    return record, b"".join(w.blocks), w.elements


def signature(sample):
    """Samples with equal signatures differ in their numbers alone."""
    def of(v):
        if isinstance(v, torch.Tensor):
            return ("T", str(v.dtype), tuple(v.shape))
        if isinstance(v, (list, tuple)):
            return tuple(of(x) for x in v)
        if isinstance(v, dict):
            return tuple((k, of(x)) for k, x in sorted(v.items()))
        return repr(v)
    return repr((of(sample.input), of(sample.args), of(sample.kwargs)))


def elements(v):
    if isinstance(v, torch.Tensor):
        return v.numel()
    return sum(map(elements, v.values() if isinstance(v, dict) else v)) if isinstance(v, (list, tuple, dict)) else 0


def full_name(op):
    return op.name + ("." + op.variant_test_name if op.variant_test_name else "")


def dtype_of(op):
    for d in (torch.float64, torch.int32, torch.int64, torch.bool, torch.float32):
        if d in op.dtypes:
            return d
    return None


def candidates(op, seed, reference):
    """The entry's samples, of those with one signature the first; reference: its reference inputs where it has some."""
    dtype = dtype_of(op)
    if dtype is None:
        raise Unwritable("only of " + ", ".join(sorted(str(d)[6:] for d in op.dtypes)))
    wants = op.supports_autograd and dtype == torch.float64
    start = (zlib.crc32(full_name(op).encode()) ^ seed) & 0xFFFFFFFF
    torch.manual_seed(start)
    random.seed(start)
    if numpy is not None:
        numpy.random.seed(start)
    seen, found = set(), []
    # Not op.sample_inputs, which sets a seed of its own before each sample in some versions of PyTorch.
    source = reference and op.reference_inputs_func or op.sample_inputs_func
    for i, sample in enumerate(source(op, "cpu", dtype, wants)):
        if i >= 3000:
            break
        s = signature(sample)
        if s not in seen:
            seen.add(s)
            found.append(sample)
    return found


def entry_records(op, args):
    """Evenly spread over the entry's samples, as many as are asked for and not too large: [(record, bytes)], facts."""
    name, written, faults = full_name(op), [], {}
    facts = {"name": name, "samples": 0, "written": 0}
    try:
        found = candidates(op, args.seed, args.reference)
    except Unwritable as e:
        facts["fault"] = str(e)
        return written, facts
    except Exception as e:  # what an entry needs may be absent on this machine: its samples are, then
        facts["fault"] = f"{type(e).__name__}: {str(e)[:80]}"
        return written, facts
    facts["samples"] = len(found)
    size = {id(s): elements(s.input) + elements(s.args) + elements(s.kwargs) for s in found}
    small = [s for s in found if size[id(s)] <= args.elements]
    count, limit = args.samples, 12 * args.elements
    if found and not small:  # of an entry that has none, a few of those that are about as small as the smallest
        least = min(size.values())
        small, count, limit = [s for s in found if size[id(s)] <= 1.5 * least], 2, 200000
    if len(small) > count:
        small = [small[round(i * (len(small) - 1) / (count - 1))] for i in range(count)]
    for s in small:
        try:
            record, data, count = sample_record(op, name, s)
            if count > limit:
                raise Unwritable("too large")
            written.append((record, data))
        except Unwritable as e:
            faults[str(e)] = faults.get(str(e), 0) + 1
        except Exception as e:  # PyTorch refuses some samples of its own, such as in-place changes of leaves
            what = f"{type(e).__name__}: {str(e)[:60]}"
            faults[what] = faults.get(what, 0) + 1
    facts["written"] = len(written)
    if faults:
        facts["faults"] = faults
    return written, facts


def listed_for_good(path):
    """Names in reasons.txt but for the groups whose entries will have rows."""
    names, group = set(), ""
    if not os.path.exists(path):
        return names
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith("## "):
                group = line[3:].strip()
            elif line.strip() and not line.startswith("#") and not group.startswith(SKIPPED_GROUPS):
                names.add(line.split()[0])
    return names


def main():
    if "PYTHONHASHSEED" not in os.environ:  # some samples come out of sets
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=os.path.join(here, "opinfo.gz"), help="the file (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the samples' numbers (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=12, help="of an entry, at most (default: %(default)s)")
    parser.add_argument("--elements", type=int, default=1000, help="of a sample's arguments, at most; with its "
                        "results it has 12 times as many at most (default: %(default)s)")
    parser.add_argument("--reference", action="store_true", help="OpInfo's reference inputs where an entry has some: "
                        "more shapes, infinity, NaN and kinks, where conventions differ: to be looked at")
    parser.add_argument("--only", help="names of entries, separated by commas")
    args = parser.parse_args()
    args.samples = max(args.samples, 2)

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    try:
        from torch.testing._internal.common_methods_invocations import op_db
    except ModuleNotFoundError as e:
        sys.exit(f"PyTorch's OpInfo needs {e.name}: pip install {e.name}")
    out_of_scope = listed_for_good(os.path.join(here, "reasons.txt"))
    only = set(args.only.split(",")) if args.only else None
    entries, records = [], []
    for op in op_db:
        name = full_name(op)
        if only is not None and name not in only:
            continue
        if name in out_of_scope:
            entries.append({"name": name, "samples": 0, "written": 0})
            continue
        written, facts = entry_records(op, args)
        entries.append(facts)
        records += written
    header = {"torch": torch.__version__.split("+")[0], "seed": args.seed, "entries": entries}
    with open(args.out, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as out:
        out.write(json.dumps(header).encode() + b"\n")
        for record, data in records:
            out.write(json.dumps(record, separators=(",", ":")).encode() + b"\n" + data)
    print(f"{args.out}: {len(records)} samples of {sum(e['written'] > 0 for e in entries)} of {len(entries)} entries, "
          f"{os.path.getsize(args.out)} bytes, PyTorch {torch.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
