"""One MAE pretraining step in PyTorch, the peer of benchmarks/step.ts: same parameters, images, masks and optimizer.

Usage: python mae_step.py INPUTS.safetensors eager|compile. Each line on standard input runs one step, whose loss and
milliseconds are written as JSON; at the end of input, the peak of the resident memory.
"""
import json
import resource
import struct
import sys
import time

import torch
import torch.nn.functional as F


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    kinds = {"F32": torch.float32, "I32": torch.int32, "U8": torch.uint8}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors, {key: json.loads(value) for key, value in header["__metadata__"].items()}


def block(p, prefix, x, heads, epsilon, wanted=None):
    batch, tokens, width = x.shape
    get = lambda name: p[f"{prefix}.{name}"]
    y = F.layer_norm(x, (width,), get("norm1.weight"), get("norm1.bias"), epsilon)
    qkv = F.linear(y, get("attn.qkv.weight"), get("attn.qkv.bias"))
    q, k, v = qkv.reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
    x = x + F.linear(y, get("attn.proj.weight"), get("attn.proj.bias"))
    if wanted is not None:
        x = take(x, wanted)
    y = F.layer_norm(x, (width,), get("norm2.weight"), get("norm2.bias"), epsilon)
    y = F.gelu(F.linear(y, get("mlp.fc1.weight"), get("mlp.fc1.bias")))
    return x + F.linear(y, get("mlp.fc2.weight"), get("mlp.fc2.bias"))


def take(x, index):
    return torch.gather(x, 1, index.unsqueeze(-1).expand(-1, -1, x.shape[2]))


def loss_of(p, config, images, keep, masked, restore):
    """As in ours patches are masked before they are embedded, and only masked places go through the last MLP and are predicted."""
    batch, height, width, channels = images.shape
    rows, columns = config["patchSize"]
    patches = images.reshape(batch, height // rows, rows, width // columns, columns, channels)
    patches = patches.permute(0, 1, 3, 2, 4, 5).reshape(batch, -1, rows * columns * channels)
    weight = p["patch_embed.proj.weight"].permute(0, 2, 3, 1).reshape(config["width"], -1)
    x = F.linear(take(patches, keep), weight, p["patch_embed.proj.bias"])
    x = x + take(p["pos_embed"][:, 1:].expand(batch, -1, -1), keep)
    cls = p["cls_token"] + p["pos_embed"][:, :1]
    x = torch.cat([cls.expand(batch, -1, -1), x], 1)
    for i in range(config["depth"]):
        x = block(p, f"blocks.{i}", x, config["heads"], config["epsilon"])
    x = F.layer_norm(x, (config["width"],), p["norm.weight"], p["norm.bias"], config["epsilon"])
    x = F.linear(x, p["decoder_embed.weight"], p["decoder_embed.bias"])
    tokens = torch.cat([x[:, 1:], p["mask_token"].expand(batch, masked.shape[1], -1)], 1)
    x = torch.cat([x[:, :1], take(tokens, restore)], 1) + p["decoder_pos_embed"]
    last = config["decoderDepth"] - 1
    for i in range(last + 1):
        wanted = masked + 1 if i == last else None
        x = block(p, f"decoder_blocks.{i}", x, config["decoderHeads"], config["epsilon"], wanted)
    x = F.layer_norm(x, (config["decoderWidth"],), p["decoder_norm.weight"], p["decoder_norm.bias"], config["epsilon"])
    prediction = F.linear(x, p["decoder_pred.weight"], p["decoder_pred.bias"])
    target = take(patches, masked)
    mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
    return ((prediction - (target - mean) / (variance + 1e-6) ** 0.5) ** 2).mean()


def main():
    tensors, meta = read(sys.argv[1])
    config = meta["config"]
    torch.set_num_threads(meta["threads"])
    frozen = ("pos_embed", "decoder_pos_embed")
    p = {name[7:]: t.clone() for name, t in tensors.items() if name.startswith("params.")}
    trained = {name: t.requires_grad_() for name, t in p.items() if name not in frozen}
    decay = [t for name, t in trained.items() if t.ndim > 1 and not name.endswith(".bias")]
    rest = [t for name, t in trained.items() if not (t.ndim > 1 and not name.endswith(".bias"))]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)
    compute = torch.compile(loss_of) if sys.argv[2] == "compile" else loss_of
    masks = [[tensors[f"{name}.{i}"].long() for name in ("keep", "masked", "restore")] for i in range(meta["masks"])]
    for step, _ in enumerate(sys.stdin):
        begin = time.perf_counter()
        loss = compute(p, config, tensors["images"], *masks[step % len(masks)])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        value = loss.item()
        print(json.dumps({"loss": value, "ms": (time.perf_counter() - begin) * 1000}), flush=True)
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)


if __name__ == "__main__":
    main()
