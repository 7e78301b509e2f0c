// Moving elements without changing them: one strided copy serves transpose, slice, pad, concat, tile and reverse.
#include "../threads.h"
#include "exports.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kChunk = 1 << 13;
constexpr int64_t kMaxRank = 12;

// to[i * to_step + j] = from[i + j * from_step] for i < rows, j < columns: a transposition by tiles
void transpose_plane(const float* from, int64_t from_step, float* to, int64_t to_step, int64_t rows, int64_t columns) {
  int64_t i = 0;
  for (; i + W <= rows; i += W) {
    int64_t j = 0;
    for (; j + W <= columns; j += W) {
      vf tile[W];
      for (int l = 0; l < W; l++) tile[l] = load(from + i + (j + l) * from_step);
      transpose(tile);
      for (int l = 0; l < W; l++) store(to + (i + l) * to_step + j, tile[l]);
    }
    for (; j < columns; j++)
      for (int l = 0; l < W; l++) to[(i + l) * to_step + j] = from[i + l + j * from_step];
  }
  for (; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) to[i * to_step + j] = from[i + j * from_step];
}

template <class T>
void copy_row(const T* from, int64_t from_step, T* to, int64_t to_step, int64_t n) {
  if (from_step == 1 && to_step == 1)
    memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  else
    for (int64_t i = 0; i < n; i++) to[i * to_step] = from[i * from_step];
}

// The index `rest` among axes [0, axes) as offsets into both sides.
UNMASK_INLINE void locate(int64_t rest, int64_t axes, const int32_t* shape, const int32_t* from_strides,
                          const int32_t* to_strides, int64_t* from_at, int64_t* to_at) {
  for (int64_t d = axes - 1; d >= 0; d--) {
    const int64_t i = rest % shape[d];
    rest /= shape[d];
    *from_at += i * from_strides[d];
    *to_at += i * to_strides[d];
  }
}

template <class T>
void copy_all(const T* from, T* to, int64_t rank, const int32_t* shape, const int32_t* from_strides, const int32_t* to_strides) {
  int64_t rows = 1;
  for (int64_t d = 0; d + 1 < rank; d++) rows *= shape[d];
  const int64_t inner = shape[rank - 1], from_step = from_strides[rank - 1], to_step = to_strides[rank - 1];
  const int64_t grain = inner >= kChunk ? 1 : kChunk / inner;
  parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      int64_t from_at = 0, to_at = 0;
      locate(row, rank - 1, shape, from_strides, to_strides, &from_at, &to_at);
      copy_row(from + from_at, from_step, to + to_at, to_step, inner);
    }
  });
}

// The axis along which the source is contiguous, if the last one is not: then planes can be transposed.
int64_t plane_axis(int64_t rank, const int32_t* shape, const int32_t* from_strides, const int32_t* to_strides) {
  if (rank < 2 || to_strides[rank - 1] != 1 || from_strides[rank - 1] == 1 || from_strides[rank - 1] == 0) return -1;
  for (int64_t d = rank - 2; d >= 0; d--)
    if (from_strides[d] == 1 && shape[d] >= 4 && shape[rank - 1] >= 4) return d;
  return -1;
}

void copy_planes(const float* from, float* to, int64_t rank, const int32_t* shape, const int32_t* from_strides,
                 const int32_t* to_strides, int64_t axis) {
  int32_t outer[kMaxRank], outer_from[kMaxRank], outer_to[kMaxRank];
  int64_t axes = 0, planes = 1;
  for (int64_t d = 0; d + 1 < rank; d++)
    if (d != axis) {
      outer[axes] = shape[d];
      outer_from[axes] = from_strides[d];
      outer_to[axes++] = to_strides[d];
      planes *= shape[d];
    }
  const int64_t rows = shape[axis], columns = shape[rank - 1];
  const int64_t band = rows * columns <= 2 * kChunk ? rows : (kChunk / columns / W + 1) * W;
  const int64_t bands = (rows + band - 1) / band;
  parallel_ranges(planes * bands, 1 + kChunk / (band * columns), [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; index++) {
      const int64_t at = index % bands * band;
      int64_t from_at = at, to_at = at * to_strides[axis];
      locate(index / bands, axes, outer, outer_from, outer_to, &from_at, &to_at);
      transpose_plane(from + from_at, from_strides[rank - 1], to + to_at, to_strides[axis], rows - at < band ? rows - at : band, columns);
    }
  });
}

}  // namespace

// Copies shape[0] x ... elements of `bytes` (1 or 4) each; rank 1 .. 12, no axis of size 0.
void copy(const void* from, int64_t from_offset, const int32_t* from_strides, void* to, int64_t to_offset,
          const int32_t* to_strides, int64_t rank, const int32_t* shape, int bytes) {
  if (bytes == 1)
    return copy_all(static_cast<const uint8_t*>(from) + from_offset, static_cast<uint8_t*>(to) + to_offset, rank, shape, from_strides, to_strides);
  const float* source = static_cast<const float*>(from) + from_offset;
  float* target = static_cast<float*>(to) + to_offset;
  const int64_t axis = plane_axis(rank, shape, from_strides, to_strides);
  if (axis >= 0) copy_planes(source, target, rank, shape, from_strides, to_strides, axis);
  else copy_all(source, target, rank, shape, from_strides, to_strides);
}

// y[b, o, s, :] = x[b, o, index[b, s], :] with rows of `width`; an index of -1 takes `blank` (or zeros).
// An index outside -1 .. count - 1 is never read: its row is zero, and 1 is returned.
double gather_rows(const float* x, const int32_t* index, const float* blank, float* y, int64_t batch, int64_t outer,
                   int64_t count, int64_t selected, int64_t width) {
  for (int64_t i = 0; i < batch * selected; i++)
    if (index[i] < -1 || index[i] >= count) return 1;
  const int64_t grain = width >= kChunk ? 1 : kChunk / (width + 1) + 1;
  parallel_ranges(batch * outer * selected, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const int64_t s = row % selected, o = row / selected, b = o / outer;
      const int64_t from = index[b * selected + s];
      float* to = y + row * width;
      if (from >= 0)
        memcpy(to, x + (o * count + from) * width, static_cast<size_t>(width) * sizeof(float));
      else if (blank != nullptr)
        memcpy(to, blank, static_cast<size_t>(width) * sizeof(float));
      else
        memset(to, 0, static_cast<size_t>(width) * sizeof(float));
    }
  });
  return 0;
}

// y[s] = sum of x[r] over the rows r with segments[r] = s, in order of r. Rows are grouped by a counting sort:
// `order` and `starts` have room for rows and count + 1 entries. Segments outside 0 .. count - 1 are skipped.
void segment_sum(const float* x, const int32_t* segments, float* y, int32_t* order, int32_t* starts, int64_t rows,
                 int64_t count, int64_t width) {
  for (int64_t s = 0; s <= count; s++) starts[s] = 0;
  auto valid = [&](int64_t r) { return segments[r] >= 0 && segments[r] < count; };
  for (int64_t r = 0; r < rows; r++)
    if (valid(r)) starts[segments[r] + 1]++;
  for (int64_t s = 0; s < count; s++) starts[s + 1] += starts[s];
  for (int64_t r = 0; r < rows; r++)
    if (valid(r)) order[starts[segments[r]]++] = static_cast<int32_t>(r);
  // starts[s] is now the end of segment s
  const int64_t grain = kChunk / (width + 1) + 1;
  parallel_ranges(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; s++) {
      float* to = y + s * width;
      memset(to, 0, static_cast<size_t>(width) * sizeof(float));
      for (int32_t i = s == 0 ? 0 : starts[s - 1]; i < starts[s]; i++) {
        const float* from = x + static_cast<int64_t>(order[i]) * width;
        for (int64_t d = 0; d < width; d++) to[d] += from[d];
      }
    }
  });
}

}  // namespace unmask::UNMASK_ISA
