// Which entries are largest or smallest, the k largest of a row in order, and one-hot rows.
#include <algorithm>
#include <cstring>

#include "../memory.h"
#include "../threads.h"
#include "exports.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kWork = 1 << 13;
constexpr int64_t kFew = 48;         // up to so many are kept in order while a row is read, more are sorted
constexpr int kBlock = 8;            // vectors that are looked at together

// Compared with the entry at the start: where that is NaN it stays, other NaNs are passed over, the first of equals wins.
template <bool smallest>
int32_t best_of_row(const float* x, int64_t n) {
  auto better = [](auto a, auto b) UNMASK_LAMBDA { return smallest ? a < b : a > b; };
  vf best = splat(x[0]);
  vi place{}, at = first_places();
  int64_t i = 0;
  for (; i + W <= n; i += W, at += W) {
    const vf v = load(x + i);
    const vi hit = better(v, best);
    best = hit ? v : best;
    place = hit ? at : place;
  }
  float top = x[0];
  int32_t found = 0;
  for (int l = 0; l < W; l++)
    if (better(best[l], top) || (best[l] == top && place[l] < found)) {
      top = best[l];
      found = place[l];
    }
  for (; i < n; i++)
    if (better(x[i], top)) {
      top = x[i];
      found = static_cast<int32_t>(i);
    }
  return found;
}

template <bool smallest>
void best_of_columns(const float* x, int32_t* index, int64_t n, int64_t inner) {
  auto better = [](auto a, auto b) UNMASK_LAMBDA { return smallest ? a < b : a > b; };
  int64_t c = 0;
  for (; c + W <= inner; c += W) {
    vf best = load(x + c);
    vi place{};
    for (int64_t i = 1; i < n; i++) {
      const vf v = load(x + i * inner + c);
      const vi hit = better(v, best);
      best = hit ? v : best;
      place = hit ? splat_int(static_cast<int32_t>(i)) : place;
    }
    memcpy(index + c, &place, sizeof place);
  }
  for (; c < inner; c++) {
    float best = x[c];
    index[c] = 0;
    for (int64_t i = 1; i < n; i++)
      if (better(x[i * inner + c], best)) {
        best = x[i * inner + c];
        index[c] = static_cast<int32_t>(i);
      }
  }
}

template <bool smallest>
void best_places(const float* x, int32_t* index, int64_t outer, int64_t n, int64_t inner) {
  parallel_ranges(outer, 1 + kWork / (n * inner), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; o++)
      if (inner == 1) index[o] = best_of_row<smallest>(x + o * n, n);
      else best_of_columns<smallest>(x + o * n * inner, index + o * inner, n, inner);
  });
}

// A value and its place as one number: the smaller the earlier in the order. Zeros of both signs are equal, NaN comes
// first. A type of its own, so that what the library makes of it is compiled for this instruction set alone.
struct Key {
  uint64_t order;
  bool operator<(const Key& other) const { return order < other.order; }
};
UNMASK_INLINE Key key(float value, int64_t place) {
  uint32_t raw;
  const float signless = value == 0.0f ? 0.0f : value;
  memcpy(&raw, &signless, sizeof raw);
  const uint32_t rising = raw & 0x80000000u ? ~raw : raw | 0x80000000u;
  const uint32_t falling = value != value ? 0 : ~rising;
  return {uint64_t{falling} << 32 | static_cast<uint32_t>(place)};
}

// Keeps the k first in order while it reads; blocks without any are passed over by their largest value.
void keep_few(const float* x, int64_t n, int64_t k, Key* kept) {
  int64_t count = 0;
  auto take = [&](int64_t i) {
    const Key own = key(x[i], i);
    if (count == k && !(own < kept[k - 1])) return;
    int64_t place = count < k ? count++ : k - 1;
    for (; place > 0 && own < kept[place - 1]; place--) kept[place] = kept[place - 1];
    kept[place] = own;
  };
  int64_t i = 0;
  for (; i < k && i < n; i++) take(i);
  auto least = [&] { return x[kept[k - 1].order & 0xffffffffu]; };
  for (; i + kBlock * W <= n; i += kBlock * W) {
    vi hit{};
    const float limit = least();
    for (int b = 0; b < kBlock; b++) {
      const vf v = load(x + i + b * W);
      hit |= (v > limit) | (v != v);
    }
    int32_t any = 0;
    for (int l = 0; l < W; l++) any |= hit[l];
    if (any)
      for (int64_t j = i; j < i + kBlock * W; j++) take(j);
  }
  for (; i < n; i++) take(i);
}

void sort_many(const float* x, int64_t n, int64_t k, Key* keys) {
  for (int64_t i = 0; i < n; i++) keys[i] = key(x[i], i);
  if (k < n) std::nth_element(keys, keys + k, keys + n);
  std::sort(keys, keys + k);
}

}  // namespace

// index [outer, inner]: the place of the largest (or smallest) along the middle axis of [outer, n, inner], n > 0
void arg_best(bool smallest, const float* x, int32_t* index, int64_t outer, int64_t n, int64_t inner) {
  if (smallest) best_places<true>(x, index, outer, n, inner);
  else best_places<false>(x, index, outer, n, inner);
}

// The k largest of each row of n, largest first: NaN before all numbers, equal values by place.
void top_k(const float* x, float* values, int32_t* index, int64_t rows, int64_t n, int64_t k) {
  if (k == 0) return;
  parallel_ranges(rows, 1 + kWork / n, [&](int64_t begin, int64_t end) {
    const bool few = k <= kFew;
    Key* keys = reinterpret_cast<Key*>(scratch(Slot::rows, 2 * (few ? k : n)));
    for (int64_t r = begin; r < end; r++) {
      const float* row = x + r * n;
      if (few) keep_few(row, n, k, keys);
      else sort_many(row, n, k, keys);
      for (int64_t i = 0; i < k; i++) {
        const int32_t place = static_cast<int32_t>(keys[i].order & 0xffffffffu);
        index[r * k + i] = place;
        values[r * k + i] = row[place];
      }
    }
  });
}

namespace {
template <class T>
void write_one_hot(const int32_t* index, T* out, int64_t count, int64_t depth, T on, T off) {
  parallel_ranges(count, 1 + kWork / (depth + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      T* row = out + i * depth;
      for (int64_t d = 0; d < depth; d++) row[d] = off;
      if (index[i] >= 0 && index[i] < depth) row[index[i]] = on;
    }
  });
}
}  // namespace

// out [count, depth]: `on` at the index, `off` elsewhere and in rows whose index is outside
void one_hot_floats(const int32_t* index, float* out, int64_t count, int64_t depth, float on, float off) {
  write_one_hot(index, out, count, depth, on, off);
}
void one_hot_ints(const int32_t* index, int32_t* out, int64_t count, int64_t depth, int on, int off) {
  write_one_hot<int32_t>(index, out, count, depth, on, off);
}

}  // namespace unmask::UNMASK_ISA
