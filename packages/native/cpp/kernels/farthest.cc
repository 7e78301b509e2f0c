// Farthest point sampling.
#include "../memory.h"
#include "../threads.h"
#include "exact.h"
#include "points.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kChunk = 1 << 13;  // points of one task
constexpr float kFar = 1e10f;        // what a point's distance to those chosen starts with
constexpr int64_t kMost = 64;        // tasks whose results fit on the stack

struct Farthest {
  float distance;
  int32_t place;
};

// Moves the distances of points [begin, end) to what they are with one more point chosen; the farthest, the first of several.
Farthest advance(const float* const axes[3], float* nearest, int64_t begin, int64_t end, const float at[3]) {
  vf most = splat(-1.0f);
  vi place = splat_int(-1), lane = first_places() + static_cast<int32_t>(begin);
  for (int64_t i = begin; i < end; i += W, lane += W) {
    const vf squared = squared_distance(load(axes[0] + i) - at[0], load(axes[1] + i) - at[1], load(axes[2] + i) - at[2]);
    const vf known = load(nearest + i);
    const vf distance = squared < known ? squared : known;
    store(nearest + i, distance);
    const vi hit = distance > most;
    most = hit ? distance : most;
    place = hit ? lane : place;
  }
  Farthest found{most[0], place[0]};
  for (int l = 1; l < W; l++)
    if (most[l] > found.distance || (most[l] == found.distance && place[l] < found.place)) found = {most[l], place[l]};
  return found;
}

}  // namespace

// chosen[0] = first, then each time the point of the cloud [points, 3] that is farthest from all chosen before. Points
// whose squared norm is no more than `ignore_near` are passed over; where no other is left point 0 is taken.
void farthest_points(const float* cloud, int32_t* chosen, int64_t points, int64_t count, int64_t first, float ignore_near) {
  const int64_t padded = (points + W - 1) / W * W;
  float* memory = scratch(Slot::rows, 5 * padded);
  float* axes[3] = {memory, memory + padded, memory + 2 * padded};
  float* nearest = memory + 3 * padded;
  int32_t* index = reinterpret_cast<int32_t*>(memory + 4 * padded);
  int64_t kept = 0;
  for (int64_t i = 0; i < points; i++) {
    const float* p = cloud + 3 * i;
    if (!(squared_distance(p[0], p[1], p[2]) > ignore_near)) continue;
    for (int d = 0; d < 3; d++) axes[d][kept] = p[d];
    nearest[kept] = kFar;
    index[kept++] = static_cast<int32_t>(i);
  }
  for (int64_t i = kept; i < padded; i++) {
    for (float* axis : axes) axis[i] = 0;
    nearest[i] = -2;  // below what a search begins with: never the farthest
  }
  int64_t grain = (kept + kMost - 1) / kMost;
  grain = grain < kChunk ? kChunk : (grain + W - 1) / W * W;
  const int64_t tasks = (kept + grain - 1) / grain;
  chosen[0] = static_cast<int32_t>(first);
  for (int64_t i = 1; i < count; i++) {
    Farthest found[kMost];
    const float* at = cloud + 3 * int64_t{chosen[i - 1]};
    parallel(tasks, [&](int64_t task) {
      const int64_t begin = task * grain;
      found[task] = advance(axes, nearest, begin, begin + grain < kept ? begin + grain : kept, at);
    });
    Farthest best{-1, -1};
    for (int64_t task = 0; task < tasks; task++)
      if (found[task].distance > best.distance) best = found[task];
    chosen[i] = best.place < 0 ? 0 : index[best.place];
  }
}

}  // namespace unmask::UNMASK_ISA
