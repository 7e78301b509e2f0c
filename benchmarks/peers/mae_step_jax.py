"""One MAE pretraining step in JAX, jitted whole, the peer of benchmarks/step.ts: same parameters, images, masks, optimizer.

Usage: python mae_step_jax.py INPUTS.safetensors. Each line on standard input runs one step, whose loss and milliseconds are
written as JSON; at the end of input, the peak of the resident memory.
"""
import json
import resource
import struct
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            kind = {"F32": np.float32, "I32": np.int32}[entry["dtype"]]
            tensors[name] = np.frombuffer(data[begin:end], dtype=kind).reshape(entry["shape"])
    return tensors, {key: json.loads(value) for key, value in header["__metadata__"].items()}


def layer_norm(x, weight, bias, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + epsilon) * weight + bias


def block(p, prefix, x, heads, epsilon, wanted=None):
    batch, tokens, width = x.shape
    get = lambda name: p[f"{prefix}.{name}"]
    linear = lambda y, name: y @ get(f"{name}.weight").T + get(f"{name}.bias")
    y = linear(layer_norm(x, get("norm1.weight"), get("norm1.bias"), epsilon), "attn.qkv")
    q, k, v = jnp.moveaxis(y.reshape(batch, tokens, 3, heads, width // heads), 2, 0)
    y = jax.nn.dot_product_attention(q, k, v).reshape(batch, tokens, width)
    x = x + linear(y, "attn.proj")
    if wanted is not None:
        x = take(x, wanted)
    y = linear(layer_norm(x, get("norm2.weight"), get("norm2.bias"), epsilon), "mlp.fc1")
    return x + linear(jax.nn.gelu(y, approximate=False), "mlp.fc2")


def take(x, index):
    return jnp.take_along_axis(x, index[..., None], axis=1)


def loss_of(trained, frozen, config, images, keep, masked, restore):
    p = {**trained, **frozen}
    batch, height, width, channels = images.shape
    rows, columns = config["patchSize"]
    patches = images.reshape(batch, height // rows, rows, width // columns, columns, channels)
    patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, rows * columns * channels)
    weight = p["patch_embed.proj.weight"].transpose(0, 2, 3, 1).reshape(config["width"], -1)
    x = take(patches, keep) @ weight.T + p["patch_embed.proj.bias"]
    x = x + p["pos_embed"][0, 1:][keep]
    cls = jnp.broadcast_to(p["cls_token"] + p["pos_embed"][:, :1], (batch, 1, config["width"]))
    x = jnp.concatenate([cls, x], 1)
    for i in range(config["depth"]):
        x = block(p, f"blocks.{i}", x, config["heads"], config["epsilon"])
    x = layer_norm(x, p["norm.weight"], p["norm.bias"], config["epsilon"])
    x = x @ p["decoder_embed.weight"].T + p["decoder_embed.bias"]
    empty = jnp.broadcast_to(p["mask_token"], (batch, masked.shape[1], x.shape[2]))
    tokens = take(jnp.concatenate([x[:, 1:], empty], 1), restore)
    x = jnp.concatenate([x[:, :1], tokens], 1) + p["decoder_pos_embed"]
    last = config["decoderDepth"] - 1
    for i in range(last + 1):
        wanted = masked + 1 if i == last else None
        x = block(p, f"decoder_blocks.{i}", x, config["decoderHeads"], config["epsilon"], wanted)
    x = layer_norm(x, p["decoder_norm.weight"], p["decoder_norm.bias"], config["epsilon"])
    prediction = x @ p["decoder_pred.weight"].T + p["decoder_pred.bias"]
    target = take(patches, masked)
    mean, variance = target.mean(-1, keepdims=True), target.var(-1, keepdims=True, ddof=1)
    return ((prediction - (target - mean) / jnp.sqrt(variance + 1e-6)) ** 2).mean()


def update(state, frozen, config, images, mask):
    """AdamW, decoupled decay of matrices only."""
    params, first, second, count = state
    loss, grads = jax.value_and_grad(loss_of)(params, frozen, config, images, *mask)
    count = count + 1
    new_params, new_first, new_second = {}, {}, {}
    for name, value in params.items():
        grad = grads[name]
        m = 0.9 * first[name] + 0.1 * grad
        v = 0.95 * second[name] + 0.05 * grad * grad
        step = (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.95**count)) + 1e-8)
        decay = 0.05 if value.ndim > 1 and not name.endswith(".bias") else 0.0
        new_params[name] = value * (1 - 1e-3 * decay) - 1e-3 * step
        new_first[name], new_second[name] = m, v
    return (new_params, new_first, new_second, count), loss


def main():
    tensors, meta = read(sys.argv[1])
    config = meta["config"]
    p = {name[7:]: jnp.asarray(t) for name, t in tensors.items() if name.startswith("params.")}
    frozen = {name: p.pop(name) for name in ("pos_embed", "decoder_pos_embed")}
    zeros = lambda: {name: jnp.zeros_like(t) for name, t in p.items()}
    state = (p, zeros(), zeros(), jnp.zeros((), jnp.float32))
    images = jnp.asarray(tensors["images"])
    step_of = jax.jit(lambda state, images, mask: update(state, frozen, config, images, mask), donate_argnums=0)
    masks = [[jnp.asarray(tensors[f"{name}.{i}"]) for name in ("keep", "masked", "restore")] for i in range(meta["masks"])]
    for step, _ in enumerate(sys.stdin):
        begin = time.perf_counter()
        state, loss = step_of(state, images, masks[step % len(masks)])
        jax.block_until_ready(state)
        print(json.dumps({"loss": float(loss), "ms": (time.perf_counter() - begin) * 1000}), flush=True)
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)


main()
