"""GraphMAE's training step in plain PyTorch: a GAT by index_add over edges, as Cora is trained. Prints
milliseconds of a step, those of processor time, and megabytes at most in memory.

Usage: python graph_mae_step.py FOLDER NAME STEPS THREADS, the folder of Planetoid's files (ind.NAME.*); or with
NODES,FEATURES,EDGES,WIDTH in the place of NAME on a random graph.
"""

import pickle
import resource
import sys
import time

import numpy as np
import scipy.sparse as sparse
import torch
import torch.nn.functional as F
from torch import nn

folder, name, steps, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
SETS = {
    "cora": dict(hidden=512, heads=4, mask=0.5, replace=0.05, alpha=3, decay=2e-4),
    "citeseer": dict(hidden=512, heads=2, mask=0.5, replace=0.1, alpha=1, decay=2e-5),
}
torch.manual_seed(0)
torch.set_num_threads(threads)


def planetoid():
    def load(part):
        with open(f"{folder}/ind.{name}.{part}", "rb") as file:
            return pickle.load(file, encoding="latin1")

    test = np.loadtxt(f"{folder}/ind.{name}.test.index", dtype=int)
    allx, tx, graph = load("allx"), load("tx"), load("graph")
    nodes = max(allx.shape[0], test.max() + 1)
    x = np.zeros((nodes, allx.shape[1]), dtype=np.float32)
    x[: allx.shape[0]] = allx.toarray()
    x[test] = tx.toarray()
    x = torch.from_numpy(x / np.maximum(x.sum(1, keepdims=True), 1e-12))
    pairs = {(a, b) for a, bs in graph.items() for b in bs} | {(b, a) for a, bs in graph.items() for b in bs}
    pairs = {pair for pair in pairs if pair[0] != pair[1]} | {(i, i) for i in range(nodes)}
    return x, torch.tensor(sorted(pairs)).T.contiguous()


def random_graph(nodes, features, edges):
    ends = torch.randint(nodes, (2, edges))
    loops = torch.arange(nodes).expand(2, nodes)
    return torch.randn(nodes, features), torch.cat([ends, ends.flip(0), loops], 1).contiguous()


if name in SETS:
    config = SETS[name]
    x, (source, target) = planetoid()
else:
    nodes, features, edges, width = map(int, name.split(","))
    config = dict(hidden=width, heads=4, mask=0.5, replace=0.05, alpha=3, decay=0)
    x, (source, target) = random_graph(nodes, features, edges)
nodes = x.shape[0]


class Gat(nn.Module):
    def __init__(self, width, out, heads, active):
        super().__init__()
        self.heads, self.out = heads, out
        self.fc = nn.Linear(width, heads * out, bias=False)
        self.left, self.right = (nn.Parameter(torch.randn(1, heads, out) * 0.1) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(heads * out))
        self.active = nn.PReLU() if active else nn.Identity()

    def forward(self, h):
        h = F.dropout(h, 0.2, self.training)
        features = self.fc(h).view(-1, self.heads, self.out)
        scores = (features * self.left).sum(-1)[source] + (features * self.right).sum(-1)[target]
        scores = F.leaky_relu(scores, 0.2)
        index = target[:, None].expand_as(scores)
        largest = torch.full((nodes, self.heads), -torch.inf).scatter_reduce(0, index, scores, "amax")
        powers = (scores - largest.detach()[target]).exp()
        sums = torch.zeros(nodes, self.heads).index_add(0, target, powers)
        weights = F.dropout(powers / sums[target], 0.1, self.training)
        messages = features[source] * weights[:, :, None]
        received = torch.zeros_like(features).index_add(0, target, messages)
        return self.active(received.flatten(1) + self.bias)


hidden, heads = config["hidden"], config["heads"]
first, second = Gat(x.shape[1], hidden // heads, heads, True), Gat(hidden, hidden // heads, heads, True)
bridge, decoder = nn.Linear(hidden, hidden, bias=False), Gat(hidden, x.shape[1], 1, False)
token = nn.Parameter(torch.zeros(1, x.shape[1]))
parameters = [token, *(p for m in (first, second, bridge, decoder) for p in m.parameters())]
optimizer = torch.optim.Adam(parameters, lr=1e-3, weight_decay=config["decay"])


def step():
    masked = torch.randperm(nodes)[: int(config["mask"] * nodes)]
    order = torch.randperm(len(masked))
    tokens = masked[order[: int((1 - config["replace"]) * len(masked))]]
    noise = masked[order[len(masked) - int(config["replace"] * len(masked)) :]]
    shown = x.clone()
    shown[tokens] = 0.0
    shown[noise] = x[torch.randperm(nodes)[: len(noise)]]
    shown[tokens] += token
    codes = bridge(second(first(shown)))
    codes[masked] = 0
    guess = decoder(codes)[masked]
    loss = (1 - F.cosine_similarity(guess, x[masked], eps=1e-12)).pow(config["alpha"]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


for _ in range(3):
    step()
times, processor = [], []
for _ in range(steps):
    began, used = time.perf_counter(), time.process_time()
    step()
    times.append(1000 * (time.perf_counter() - began))
    processor.append(1000 * (time.process_time() - used))
print(f"{np.median(times):.1f} {np.median(processor):.1f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
