"""Features of a frozen ViT in PyTorch, the peer of benchmarks/encode.ts: same parameters and images, bytes in.

Usage: python encode.py INPUTS.safetensors eager|compile|MODEL.onnx. Each line on standard input encodes the batch, and the
sum of the features' magnitudes and the milliseconds are written as JSON; at the end of input, the peak of the resident
memory. With a file's name it writes the model there instead, for onnxruntime.
"""
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

from mae_step import block, read


class Encoder(nn.Module):
    def __init__(self, tensors, config):
        super().__init__()
        self.names = {name.replace(".", "_"): name for name in tensors if name != "images"}
        for flat, name in self.names.items():
            self.register_buffer(flat, tensors[name])
        self.config = config
        self.register_buffer("mean", torch.tensor(config["mean"]))
        self.register_buffer("std", torch.tensor(config["std"]))

    def forward(self, images):
        p = {name: getattr(self, flat) for flat, name in self.names.items()}
        c = self.config
        images = (images.float() / 255 - self.mean) / self.std
        x = F.conv2d(images.permute(0, 3, 1, 2), p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], c["patchSize"])
        cls = p["cls_token"].expand(x.shape[0], -1, -1)
        x = torch.cat([cls, x.flatten(2).transpose(1, 2)], 1) + p["pos_embed"]
        for i in range(c["depth"]):
            x = block(p, f"blocks.{i}", x, c["heads"], c["epsilon"])
        return F.layer_norm(x, (c["width"],), p["norm.weight"], p["norm.bias"], c["epsilon"])[:, 0]


@torch.inference_mode()
def main():
    tensors, meta = read(sys.argv[1])
    torch.set_num_threads(meta["threads"])
    images, mode = tensors["images"], sys.argv[2]
    encoder = Encoder(tensors, meta["config"]).eval()
    if mode.endswith(".onnx"):
        torch.onnx.export(encoder, (images,), mode, input_names=["images"], output_names=["features"], dynamo=False)
        return
    compute = torch.compile(encoder) if mode == "compile" else encoder
    for _ in sys.stdin:
        begin = time.perf_counter()
        features = compute(images)
        ms = (time.perf_counter() - begin) * 1000
        print(json.dumps({"loss": features.double().abs().sum().item(), "ms": ms}), flush=True)
    print(json.dumps({"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)


main()
