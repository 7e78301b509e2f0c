"""Farthest point sampling and nearest neighbours by torch and scipy, the peers of `pnpm bench pointcloud --kernels`.

Usage: python points.py POINTS.npy. Writes milliseconds (the best of three), the peak of the resident memory, and the sums
of the indices as JSON.
"""
import json
import resource
import sys
import time

import numpy as np
import torch
from scipy.spatial import cKDTree

torch.set_num_threads(1)
points = np.load(sys.argv[1])


def timed(body):
    best, result = float("inf"), None
    for _ in range(3):
        begin = time.perf_counter()
        result = body()
        best = min(best, (time.perf_counter() - begin) * 1000)
    return result, best


def farthest(count):
    cloud = torch.from_numpy(points)
    chosen = torch.zeros(count, dtype=torch.long)
    nearest = torch.full((len(cloud),), 1e10)
    for i in range(1, count):
        difference = cloud - cloud[chosen[i - 1]]
        torch.minimum(nearest, (difference * difference).sum(1), out=nearest)
        chosen[i] = nearest.argmax()
    return chosen.numpy()


centres, fps = timed(lambda: farthest(1024))
tree, build = timed(lambda: cKDTree(points))
near, few = timed(lambda: tree.query(points[centres], 32)[1])
every_point, every = timed(lambda: tree.query(points, 32)[1])
print(json.dumps({
    "fps": fps, "build": build, "few": few, "every": every,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "checks": [int(centres.sum()), int(near.sum()), int(every_point.sum())],
}))
