// The nearest point of another set, by looking at every pair: what a Chamfer distance asks for.
#include "../memory.h"
#include "../threads.h"
#include "exact.h"
#include "points.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kChunk = 64;  // points of one task
constexpr int kTile = 4;        // points that share what is read of the other set

// [m, width] as rows of coordinates, each padded to whole vectors by what is never nearest
void turn(const float* to, int64_t m, int64_t width, int64_t padded, float* turned) {
  for (int64_t d = 0; d < width; d++)
    for (int64_t j = 0; j < padded; j++) turned[d * padded + j] = j < m ? to[j * width + d] : __builtin_inff();
}

template <int tile>
UNMASK_INLINE void nearest_of_tile(const float* from, const float* turned, int64_t m, int64_t padded, int64_t width,
                                   int32_t* index) {
  vf best[tile] = {};
  vi place[tile] = {}, at = first_places();
  for (int64_t j = 0; j < m; j += W, at += W) {
    vf sum[tile];
    for (vf& v : sum) v = vf{};
    for (int64_t d = 0; d < width; d++) {
      const vf other = load(turned + d * padded + j);
      for (int t = 0; t < tile; t++) {
        const vf gap = from[t * width + d] - other;
        sum[t] += rounded(gap * gap);
      }
    }
    for (int t = 0; t < tile; t++) {
      if (j == 0) {  // as a search that begins with the first: where that distance is NaN it stays
        best[t] = splat(sum[t][0]);
        place[t] = vi{};
      }
      const vi hit = sum[t] < best[t];
      best[t] = hit ? sum[t] : best[t];
      place[t] = hit ? at : place[t];
    }
  }
  for (int t = 0; t < tile; t++) {
    float least = best[t][0];
    index[t] = place[t][0];
    for (int l = 1; l < W; l++)
      if (best[t][l] < least || (best[t][l] == least && place[t][l] < index[t])) {
        least = best[t][l];
        index[t] = place[t][l];
      }
  }
}

}  // namespace

// index [batch, n]: of the points from [batch, n, width], the nearest in to [batch, m, width], m > 0, the first of several
void nearest_rows(const float* from, const float* to, int32_t* index, int64_t batch, int64_t n, int64_t m, int64_t width) {
  const int64_t chunks = (n + kChunk - 1) / kChunk, padded = (m + W - 1) / W * W;
  parallel(batch * chunks, [&](int64_t task) {
    const int64_t b = task / chunks, begin = task % chunks * kChunk, end = begin + kChunk < n ? begin + kChunk : n;
    float* turned = scratch(Slot::rows, padded * width);
    turn(to + b * m * width, m, width, padded, turned);
    const float* own = from + b * n * width;
    int64_t i = begin;
    for (; i + kTile <= end; i += kTile) nearest_of_tile<kTile>(own + i * width, turned, m, padded, width, index + b * n + i);
    for (; i < end; i++) nearest_of_tile<1>(own + i * width, turned, m, padded, width, index + b * n + i);
  });
}

}  // namespace unmask::UNMASK_ISA
