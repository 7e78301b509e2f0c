// Blocked product after Goto and van de Geijn (doi 10.1145/1356052.1356053): B is packed into panels of kN columns,
// a register tile of kM x kN accumulates over up to kBlockK rows of a panel. A row-major A is read in place.
#include "gemm.h"

#include <cstring>

#include "../memory.h"
#include "../threads.h"
#include "activation.h"
#include "exports.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int kM = kRegisters == 32 ? 12 : 6;  // rows of a tile
constexpr int kV = 2;                          // vectors across a tile
constexpr int kN = kV * W;
constexpr int64_t kBlockK = 384;
constexpr int64_t kBlockM = 96;                // rows of one task
constexpr int64_t kShared = 1 << 21;           // floats of packed A and B at a time
constexpr int64_t kPackColumns = 64;           // columns of A packed by one task

constexpr int64_t round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }

// ---- packing ----

// Columns [j, j + width) and rows [0, k) of B as a panel [k][kN], missing columns 0.
void pack_panel(const Matrix& b, int64_t j, int64_t width, int64_t k, float* panel) {
  if (b.column == 1) {
    const float* source = b.data + j;
    if (width == kN) {
      for (int64_t p = 0; p < k; p++, source += b.row, panel += kN)
        for (int v = 0; v < kV; v++) store(panel + v * W, load(source + v * W));
      return;
    }
    for (int64_t p = 0; p < k; p++, source += b.row, panel += kN)
      for (int c = 0; c < kN; c++) panel[c] = c < width ? source[c] : 0.0f;
    return;
  }
  for (int v = 0; v < kV; v++) {
    const int64_t columns = width - v * W < W ? width - v * W : W;
    int64_t p = 0;
    if (columns == W && b.row == 1) {
      const float* source = b.data + (j + v * W) * b.column;
      for (; p + W <= k; p += W) {
        vf rows[W];
        for (int i = 0; i < W; i++) rows[i] = load(source + i * b.column + p);
        transpose(rows);
        for (int i = 0; i < W; i++) store(panel + (p + i) * kN + v * W, rows[i]);
      }
    }
    for (; p < k; p++)
      for (int c = 0; c < W; c++)
        panel[p * kN + v * W + c] = c < columns ? b.data[p * b.row + (j + v * W + c) * b.column] : 0.0f;
  }
}

// Columns [begin, end) of the first k columns of A as strips [ceil(rows / kM)][k][kM], missing rows 0.
// Adds to sums[row], if given, what it packs.
void pack_rows(const Matrix& a, int64_t rows, int64_t begin, int64_t end, int64_t k, float* strips, float* sums) {
  const int64_t count = (rows + kM - 1) / kM;
  if (a.row != 1) {
    for (int64_t p = begin; p < end; p++)
      for (int64_t row = 0; row < count * kM; row++) {
        const float x = row < rows ? a.data[row * a.row + p * a.column] : 0.0f;
        strips[(row / kM * k + p) * kM + row % kM] = x;
        if (sums != nullptr && row < rows) sums[row] += x;
      }
    return;
  }
  constexpr int kVectors = (kM + W - 1) / W;  // a store may run into the next row of the strip, written after it
  constexpr int64_t kGroup = 8;               // strips written side by side: more would fight over cache sets
  for (int64_t first = 0; first < count; first += kGroup) {
    const int64_t last = first + kGroup < count ? first + kGroup : count;
    for (int64_t p = begin; p < end; p++) {
      const float* source = a.data + p * a.column;
      for (int64_t s = first; s < last; s++) {
        float* strip = strips + (s * k + p) * kM;
        const float* from = source + s * kM;
        if (s * kM + kVectors * W <= rows && p + 1 < end)
          for (int v = 0; v < kVectors; v++) store(strip + v * W, load(from + v * W));
        else
          for (int r = 0; r < kM; r++) strip[r] = s * kM + r < rows ? from[r] : 0.0f;
      }
      if (sums != nullptr) {
        int64_t r = first * kM;
        const int64_t stop = last * kM < rows ? last * kM : rows;
        for (; r + W <= stop; r += W) store(sums + r, load(sums + r) + load(source + r));
        for (; r < stop; r++) sums[r] += source[r];
      }
    }
  }
}

// ---- register tile ----

struct Tile {
  float* c;
  int64_t c_row;
  int64_t row, column;  // of the tile in C, for the epilogue
  int64_t width;        // columns that exist
  bool accumulate, last;
  const Epilogue* epilogue;
};

template <int R, int V>
UNMASK_INLINE void finish(vf (&sum)[R][V], const Tile& t) {
  const Epilogue& e = *t.epilogue;
  const bool plain = !t.last || e.plain();
  for (int r = 0; r < R; r++)
    for (int v = 0; v < V; v++) {
      const int64_t left = t.width - v * W;
      if (left <= 0) break;
      const int64_t offset = r * t.c_row + v * W;
      const bool whole = left >= W;
      float* at = t.c + offset;
      vf x = sum[r][v];
      if (t.accumulate) x += whole ? load(at) : load_first(at, left);
      if (!plain) {
        x *= e.alpha;
        if (e.bias) x += whole ? load(e.bias + t.column + v * W) : load_first(e.bias + t.column + v * W, left);
        const int64_t place = t.row * t.c_row + t.column + offset;
        if (e.activation != Activation::none) {
          const Activated f = activate(x, e.activation, e.leak, e.slope != nullptr);
          x = f.value;
          if (e.slope) whole ? store(e.slope + place, f.slope) : store_first(e.slope + place, f.slope, left);
        }
        if (e.residual) x += whole ? load(e.residual + place) : load_first(e.residual + place, left);
      }
      whole ? store(at, x) : store_first(at, x, left);
    }
}

// R rows of A (row r, step p at a[r * a_row + p * a_column]) times a panel.
template <int R, int V, bool Packed>
void tile(int64_t k, const float* a, int64_t a_row, const float* b, const Tile& t) {
  vf sum[R][V] = {};
  const int64_t row = Packed ? 1 : a_row;
  constexpr int kGroup = 3;  // rows that share a base register: base, base + row, base + 2 * row
  const float* base[(R + kGroup - 1) / kGroup];
#pragma GCC unroll 16
  for (int g = 0; g < (R + kGroup - 1) / kGroup; g++) base[g] = a + g * kGroup * row;
  for (int64_t p = 0; p < k; p++) {
    vf column[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) column[v] = load(b + v * W);
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      const vf x = splat(Packed ? a[r] : base[r / kGroup][(r % kGroup) * row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sum[r][v] += x * column[v];
    }
    b += kN;
    if constexpr (Packed) {
      a += kM;
    } else {
#pragma GCC unroll 16
      for (int g = 0; g < (R + kGroup - 1) / kGroup; g++) base[g]++;
    }
  }
  finish<R, V>(sum, t);
}

using TileFunction = void (*)(int64_t, const float*, int64_t, const float*, const Tile&);

template <int V, bool Packed, int... R>
constexpr TileFunction pick_tile(int rows, std::integer_sequence<int, R...>) {
  constexpr TileFunction table[] = {tile<R + 1, V, Packed>...};
  return table[rows - 1];
}

TileFunction tile_for(int rows, bool narrow, bool packed) {
  constexpr auto all = std::make_integer_sequence<int, kM>{};
  if (packed) return narrow ? pick_tile<1, true>(rows, all) : pick_tile<kV, true>(rows, all);
  return narrow ? pick_tile<1, false>(rows, all) : pick_tile<kV, false>(rows, all);
}

// ---- blocks ----

// Rows [i, i + rows) times the packed panels of columns [j, j + columns) and of rows [k0, k0 + depth) of B.
struct Block {
  const Gemm* g;
  int64_t i, rows, j, columns, k0, depth;
  const float* panels;  // of this block of B, [columns / kN][depth][kN]
  const float* strips;  // of this block of A, [rows / kM][depth][kM]; null where A is read in place
};

bool needs_packing(const Gemm& g) { return g.a.column != 1 || g.a_row_sums != nullptr; }

void multiply(const Block& block) {
  const Gemm& g = *block.g;
  const bool packed = block.strips != nullptr;
  const float* a = packed ? block.strips : g.a.data + block.i * g.a.row + block.k0;
  for (int64_t j = 0; j < block.columns; j += kN) {
    const float* panel = block.panels + j * block.depth;
    const int64_t width = block.columns - j < kN ? block.columns - j : kN;
    for (int64_t i = 0; i < block.rows; i += kM) {
      const int rows = static_cast<int>(block.rows - i < kM ? block.rows - i : kM);
      const Tile t{g.c + (block.i + i) * g.c_row + block.j + j, g.c_row, block.i + i, block.j + j, width,
                   block.k0 > 0 || g.accumulate, block.k0 + block.depth == g.k, &g.epilogue};
      tile_for(rows, width <= W, packed)(block.depth, packed ? a + i * block.depth : a + i * g.a.row, g.a.row, panel, t);
    }
  }
}

// An empty sum still has an epilogue.
void fill_empty(const Gemm& g) {
  for (int64_t i = 0; i < g.m; i++)
    for (int64_t j = 0; j < g.n; j += W) {
      vf sum[1][1] = {};
      finish<1, 1>(sum, {g.c + i * g.c_row + j, g.c_row, i, j, g.n - j, g.accumulate, true, &g.epilogue});
    }
  if (g.a_row_sums != nullptr)
    for (int64_t i = 0; i < g.m; i++) g.a_row_sums[i] = 0;
}

int64_t depth_of_blocks(int64_t k) {
  const int64_t blocks = (k + kBlockK - 1) / kBlockK;
  return round_up((k + blocks - 1) / blocks, W);
}

Matrix below(const Matrix& b, int64_t rows) { return {b.data + rows * b.row, b.row, b.column}; }
Matrix right_of(const Matrix& a, int64_t columns) { return {a.data + columns * a.column, a.row, a.column}; }

int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Few rows: each task packs the panels that it needs, once.
void multiply_few_rows(const Gemm& g) {
  const int64_t depth = depth_of_blocks(g.k), count = (g.n + kN - 1) / kN;
  parallel_ranges(count, count < 8 ? 1 : 4, [&](int64_t first, int64_t end) {
    const int64_t j0 = first * kN, columns = least(end * kN, g.n) - j0;
    float* panels = scratch(Slot::packed_b, (end - first) * kN * depth);
    for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
      const int64_t d = least(g.k - k0, depth);
      for (int64_t j = 0; j < columns; j += kN) pack_panel(below(g.b, k0), j0 + j, least(columns - j, kN), d, panels + j * d);
      multiply({&g, 0, g.m, j0, columns, k0, d, panels, nullptr});
    }
  });
}

// Many rows: B, and A where it must be, are packed by all threads, a number of blocks of k at a time, and shared.
void multiply_many_rows(const Gemm& g) {
  const int64_t depth = depth_of_blocks(g.k), k_blocks = (g.k + depth - 1) / depth;
  const int64_t padded_n = round_up(g.n, kN), panels = padded_n / kN;
  const bool pack_a = needs_packing(g);
  const int64_t padded_m = pack_a ? round_up(g.m, kM) : 0;
  int64_t at_once = kShared / ((padded_n + padded_m) * depth);
  at_once = at_once < 1 ? 1 : least(at_once, k_blocks);
  const int64_t stages = (k_blocks + at_once - 1) / at_once;
  at_once = (k_blocks + stages - 1) / stages;
  float* shared_b = scratch(Slot::shared_b, padded_n * depth * at_once);
  float* shared_a = pack_a ? scratch(Slot::packed_a, padded_m * depth * at_once + W) : nullptr;

  // Tasks of packing A: kPackColumns columns of it. Each has row sums of its own, added up in order.
  const int64_t ranges = pack_a ? (depth + kPackColumns - 1) / kPackColumns : 0;
  float* sums = g.a_row_sums ? scratch(Slot::partial, ranges * at_once * g.m) : nullptr;
  if (sums != nullptr)
    for (int64_t r = 0; r < g.m; r++) g.a_row_sums[r] = 0;

  // Tasks of multiplying: blocks of rows, and of columns where there are few rows; by the shape alone.
  const int64_t block_m = g.m >= 16 * kBlockM ? kBlockM : kBlockM / 2;
  const int64_t row_blocks = (g.m + block_m - 1) / block_m;
  const int64_t column_blocks = row_blocks >= 12 ? 1 : (12 + row_blocks - 1) / row_blocks;
  const int64_t block_n = round_up((padded_n + column_blocks - 1) / column_blocks, kN);
  const int64_t across = (padded_n + block_n - 1) / block_n;

  for (int64_t kb = 0; kb < k_blocks; kb += at_once) {
    const int64_t blocks = least(k_blocks - kb, at_once);
    const auto start = [&](int64_t block) { return (kb + block) * depth; };
    const auto depth_of = [&](int64_t block) { return least(g.k - start(block), depth); };
    parallel((ranges + panels) * blocks, [&](int64_t index) {
      const int64_t block = index / (ranges + panels), part = index % (ranges + panels), d = depth_of(block);
      if (part < ranges) {
        const int64_t begin = least(part * kPackColumns, d), end = least(begin + kPackColumns, d);
        float* own = sums ? sums + (block * ranges + part) * g.m : nullptr;
        if (own != nullptr) memset(own, 0, static_cast<size_t>(g.m) * sizeof(float));
        pack_rows(right_of(g.a, start(block)), g.m, begin, end, d, shared_a + block * padded_m * depth, own);
      } else {
        const int64_t j = (part - ranges) * kN;
        pack_panel(below(g.b, start(block)), j, least(g.n - j, kN), d, shared_b + block * padded_n * depth + j * d);
      }
    });
    if (sums != nullptr)
      for (int64_t part = 0; part < ranges * blocks; part++)
        for (int64_t r = 0; r < g.m; r++) g.a_row_sums[r] += sums[part * g.m + r];
    parallel(row_blocks * across, [&](int64_t index) {
      const int64_t i = index / across * block_m, j = index % across * block_n;
      for (int64_t block = 0; block < blocks; block++) {
        const int64_t d = depth_of(block);
        multiply({&g, i, least(g.m - i, block_m), j, least(g.n - j, block_n), start(block), d,
                  shared_b + block * padded_n * depth + j * d,
                  pack_a ? shared_a + block * padded_m * depth + i * d : nullptr});
      }
    });
  }
}

}  // namespace

void gemm_serial(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) return fill_empty(g);
  const int64_t depth = depth_of_blocks(g.k);
  const bool pack_a = needs_packing(g);
  float* panels = scratch(Slot::packed_b, round_up(g.n, kN) * depth);
  float* strips = pack_a ? scratch(Slot::packed_a, round_up(g.m, kM) * depth + W) : nullptr;
  if (g.a_row_sums != nullptr)
    for (int64_t r = 0; r < g.m; r++) g.a_row_sums[r] = 0;
  for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
    const int64_t d = least(g.k - k0, depth);
    for (int64_t j = 0; j < g.n; j += kN) pack_panel(below(g.b, k0), j, least(g.n - j, kN), d, panels + j * d);
    if (pack_a) pack_rows(right_of(g.a, k0), g.m, 0, d, d, strips, g.a_row_sums);
    multiply({&g, 0, g.m, 0, g.n, k0, d, panels, strips});
  }
}

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.k == 0 || g.m * g.n * g.k < (1 << 15)) return gemm_serial(g);
  if (g.m <= kBlockM && !needs_packing(g)) return multiply_few_rows(g);
  multiply_many_rows(g);
}

// Batches of products; a stride of 0 between batches shares an operand. Batch i of C follows batch i - 1.
void matmul(const float* a, int64_t a_offset, int64_t a_row, int64_t a_column, int64_t a_batch, const float* b,
            int64_t b_offset, int64_t b_row, int64_t b_column, int64_t b_batch, float* c, int64_t batch, int64_t m,
            int64_t n, int64_t k, float alpha, const float* bias, int activation, float leak, float* slope,
            const float* residual, float* row_sums) {
  auto product = [&](int64_t i) {
    const int64_t at = i * m * n;
    return Gemm{m, n, k, {a + a_offset + i * a_batch, a_row, a_column}, {b + b_offset + i * b_batch, b_row, b_column}, c + at, n,
                {alpha, bias, static_cast<Activation>(activation), leak, slope ? slope + at : nullptr,
                 residual ? residual + at : nullptr},
                false, row_sums};
  };
  if (batch >= 8 || (batch > 1 && m * n * k < (1 << 20)))
    parallel(batch, [&](int64_t i) { gemm_serial(product(i)); });
  else
    for (int64_t i = 0; i < batch; i++) gemm(product(i));
}

}  // namespace unmask::UNMASK_ISA
