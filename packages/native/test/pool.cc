// Two threads compute on one pool, as two JavaScript threads do, at once and through the queue, while a third changes the
// number of its threads; every result is that of one thread alone, to the bit. Compiled with ThreadSanitizer by scripts/sanitize.mjs.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/depthwise.h"
#include "kernels/exports.h"
#include "kernels/points.h"
#include "threads.h"

using namespace unmask;
using namespace unmask::UNMASK_ISA;

namespace {

using Floats = std::vector<float>;

Floats values(size_t size, uint32_t seed) {
  Floats all(size);
  for (float& value : all) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) / (1 << 23) - 1;
  }
  return all;
}

std::vector<float> as_floats(const std::vector<int32_t>& index) {
  Floats all(index.size());
  memcpy(all.data(), index.data(), index.size() * sizeof(float));
  return all;
}

// Each gives the bits of a result that does not depend on the threads.
const std::vector<std::function<Floats(uint32_t)>> kernels = {
    [](uint32_t seed) {  // a product with bias and GELU
      const Floats a = values(150 * 90, seed), b = values(90 * 130, seed + 1), bias = values(130, seed + 2);
      Floats c(150 * 130);
      matmul(a.data(), 0, 90, 1, 0, b.data(), 0, 130, 1, 0, c.data(), 1, 150, 130, 90, 1, bias.data(), 1, 0, nullptr, nullptr, nullptr, nullptr);
      return c;
    },
    [](uint32_t seed) {  // sums of long columns
      const Floats x = values(3000 * 7, seed);
      Floats y(7);
      reduce(0, x.data(), y.data(), 1, 3000, 7, 1);
      return y;
    },
    [](uint32_t seed) {  // attention
      const Floats qkv = values(2 * 40 * 96, seed);
      Floats out(2 * 40 * 32), lse(2 * 2 * 40);
      attention(qkv.data(), 0, 96, qkv.data(), 32, qkv.data(), 64, 96, nullptr, nullptr, out.data(), lse.data(), 2, 2, 40, 40, 16, 0.25f);
      return out;
    },
    [](uint32_t seed) {  // gradient of a layer norm
      const Floats x = values(300 * 33, seed), dy = values(300 * 33, seed + 1), weight = values(33, seed + 2);
      Floats mean(300), rstd(300), y(300 * 33), dx(300 * 33), dweight(33), dbias(33);
      layer_norm(x.data(), weight.data(), nullptr, y.data(), mean.data(), rstd.data(), 300, 33, 1e-5f);
      layer_norm_grad(dy.data(), x.data(), mean.data(), rstd.data(), weight.data(), nullptr, dx.data(), dweight.data(), dbias.data(), 300, 33);
      dx.insert(dx.end(), dweight.begin(), dweight.end());
      return dx;
    },
    [](uint32_t seed) {  // filter gradient of a convolution
      const int32_t geometry[] = {2, 15, 15, 3, 13, 13, 5, 3, 3, 1, 1, 1, 1, 0, 0, 1};
      const Floats x = values(2 * 15 * 15 * 3, seed), dy = values(2 * 13 * 13 * 5, seed + 1);
      Floats dfilter(9 * 3 * 5);
      conv2d_filter_grad(x.data(), dy.data(), dfilter.data(), geometry);
      return dfilter;
    },
    [](uint32_t seed) {  // depthwise convolution and its filter gradient
      const int32_t geometry[] = {2, 40, 40, 9, 40, 40, 3, 3, 1, 1, 1, 1, 1, 1};
      const Floats x = values(2 * 40 * 40 * 9, seed), filter = values(9 * 9, seed + 1);
      Floats y(x.size()), dfilter(9 * 9);
      depthwise(x.data(), filter.data(), y.data(), geometry);
      depthwise_filter_grad(x.data(), y.data(), dfilter.data(), geometry);
      y.insert(y.end(), dfilter.begin(), dfilter.end());
      return y;
    },
    [](uint32_t seed) {  // gradient of a maximum over windows
      const int32_t geometry[] = {3, 1, 20, 20, 70, 1, 10, 10, 1, 2, 2, 1, 2, 2, 0, 0, 0};
      const Floats x = values(3 * 20 * 20 * 70, seed), dy = values(3 * 10 * 10 * 70, seed + 1);
      Floats dx(x.size());
      max_pool_grad(dy.data(), x.data(), dx.data(), false, geometry);
      return dx;
    },
    [](uint32_t seed) {  // the largest of every row
      const Floats x = values(200 * 300, seed);
      Floats found(200 * 60);
      std::vector<int32_t> index(200 * 60);
      top_k(x.data(), found.data(), index.data(), 200, 300, 60);
      return found;
    },
    [](uint32_t seed) {  // neighbours, and the points farthest apart
      const Floats cloud = values(3 * 20000, seed);
      std::vector<int32_t> near(500 * 4), far(4);
      near_points(cloud.data(), cloud.data(), near.data(), 20000, 500, 4, 9);
      farthest_points(cloud.data(), far.data(), 20000, 4, 0, -1);
      near.insert(near.end(), far.begin(), far.end());
      return as_floats(near);
    },
    [](uint32_t seed) {  // the norm of all arrays together
      Floats a = values(50000, seed), b = values(333, seed + 1);
      double partial[8] = {};
      void* arrays[] = {a.data(), b.data()};
      const int32_t sizes[] = {50000, 333};
      Arrays all;
      all.data[0] = arrays[0];
      all.data[1] = arrays[1];
      all.count = 2;
      return Floats{static_cast<float>(norm(all, sizes, partial))};
    },
};

struct Call : Job {
  std::function<void()> body;
  explicit Call(std::function<void()> f) : body(std::move(f)) {}
  void run() override { body(); }
};

int compute(uint32_t seed, const std::vector<Floats>& expected, int rounds) {
  int wrong = 0;
  for (int round = 0; round < rounds; round++) {
    std::vector<Floats> found(kernels.size());
    for (size_t k = 0; k < kernels.size(); k++) {
      if (round % 2 == 0) {
        const Lead lead;
        found[k] = kernels[k](seed);
      } else {
        enqueue(std::make_unique<Call>([&found, k, seed] { found[k] = kernels[k](seed); }));
      }
    }
    finish();
    for (size_t k = 0; k < kernels.size(); k++)
      if (memcmp(found[k].data(), expected[k].data(), expected[k].size() * sizeof(float)) != 0) {
        fprintf(stderr, "kernel %zu gives another result\n", k);
        wrong++;
      }
  }
  return wrong;
}

// More jobs than the queue holds, each on the result of the one before.
int chain(uint32_t seed) {
  constexpr int kJobs = 5000;
  Floats x(3000, static_cast<float>(seed));
  float expected = static_cast<float>(seed);
  for (int i = 0; i < kJobs; i++) {
    expected = i % 2 == 0 ? expected + 1 : expected / 2;
    enqueue(std::make_unique<Call>([&x, i] {
      parallel_ranges(static_cast<int64_t>(x.size()), 500, [&](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; j++) x[j] = i % 2 == 0 ? x[j] + 1 : x[j] / 2;
      });
    }));
  }
  finish();
  int wrong = 0;
  for (const float value : x) wrong += value != expected;
  return wrong;
}

}  // namespace

int main() {
  constexpr int kRounds = 6;
  set_thread_count(1);
  std::vector<Floats> expected[2];
  for (uint32_t seed : {0u, 1u})
    for (const auto& kernel : kernels) expected[seed].push_back(kernel(seed));
  std::atomic<int> wrong{0};
  std::atomic<bool> running{true};
  std::thread changes([&] {
    for (int i = 0; running.load(); i++) {
      set_thread_count(1 + i % 4);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  std::thread first([&] { wrong += compute(0, expected[0], kRounds) + chain(0); });
  std::thread second([&] { wrong += compute(1, expected[1], kRounds) + chain(1); });
  first.join();
  second.join();
  running = false;
  changes.join();
  printf("%zu kernels on two threads at once, %d rounds: %d results differ\n", kernels.size(), kRounds, wrong.load());
  return wrong.load() == 0 ? 0 : 1;
}
