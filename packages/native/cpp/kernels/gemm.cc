// Blocked product after Goto and van de Geijn (doi 10.1145/1356052.1356053): B is packed into panels of kN columns,
// a register tile of kM x kN accumulates over up to kBlockK rows of a panel. A row-major A is read in place.
#include "gemm.h"

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
constexpr int64_t kSharedB = 1 << 20;          // floats of B packed at a time

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

// Rows [i, i + rows) and columns [0, k) of A as strips [ceil(rows / kM)][k][kM], missing rows 0.
void pack_rows(const Matrix& a, int64_t i, int64_t rows, int64_t k, float* strips, float* sums) {
  const int64_t count = (rows + kM - 1) / kM;
  const float* corner = a.data + i * a.row;
  if (a.row != 1) {
    for (int64_t s = 0; s < count; s++)
      for (int64_t p = 0; p < k; p++)
        for (int r = 0; r < kM; r++) {
          const int64_t row = s * kM + r;
          strips[(s * k + p) * kM + r] = row < rows ? corner[row * a.row + p * a.column] : 0.0f;
        }
    return;
  }
  constexpr int kVectors = (kM + W - 1) / W;  // a store may run into the next row of the strip, written after it
  for (int64_t p = 0; p < k; p++) {
    const float* source = corner + p * a.column;
    for (int64_t s = 0; s < count; s++) {
      float* strip = strips + (s * k + p) * kM;
      const float* from = source + s * kM;
      if (s * kM + kVectors * W <= rows && p + 1 < k)
        for (int v = 0; v < kVectors; v++) store(strip + v * W, load(from + v * W));
      else
        for (int r = 0; r < kM; r++) strip[r] = s * kM + r < rows ? from[r] : 0.0f;
    }
    if (sums != nullptr) {
      int64_t r = 0;
      for (; r + W <= rows; r += W) store(sums + r, load(sums + r) + load(source + r));
      for (; r < rows; r++) sums[r] += source[r];
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
};

void multiply(const Block& block) {
  const Gemm& g = *block.g;
  const bool packed = g.a.column != 1 || g.a_row_sums != nullptr;
  const float* a = g.a.data + block.i * g.a.row + block.k0 * g.a.column;
  if (packed) {
    float* strips = scratch(Slot::packed_a, round_up(block.rows, kM) * block.depth + W);
    float* sums = g.a_row_sums != nullptr && block.j == 0 ? g.a_row_sums + block.i : nullptr;
    if (sums != nullptr && block.k0 == 0)
      for (int64_t r = 0; r < block.rows; r++) sums[r] = 0;
    pack_rows({a, g.a.row, g.a.column}, 0, block.rows, block.depth, strips, sums);
    a = strips;
  }
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

}  // namespace

void gemm_serial(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) return fill_empty(g);
  const int64_t depth = depth_of_blocks(g.k);
  float* panels = scratch(Slot::packed_b, round_up(g.n, kN) * depth);
  for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
    const int64_t d = g.k - k0 < depth ? g.k - k0 : depth;
    for (int64_t j = 0; j < g.n; j += kN)
      pack_panel(below(g.b, k0), j, g.n - j < kN ? g.n - j : kN, d, panels + j * d);
    multiply({&g, 0, g.m, 0, g.n, k0, d, panels});
  }
}

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) return fill_empty(g);
  if (g.m * g.n * g.k < (1 << 15)) return gemm_serial(g);
  const int64_t depth = depth_of_blocks(g.k);
  const int64_t padded = round_up(g.n, kN), count = padded / kN;
  // Few rows: each task packs the panels it needs, once. Many: all panels are packed first and shared.
  if (g.m <= kBlockM) {
    const int64_t group = count < 8 ? 1 : 4;
    parallel_ranges(count, group, [&](int64_t first, int64_t end) {
      const int64_t j0 = first * kN, columns = (end * kN < g.n ? end * kN : g.n) - j0;
      float* panels = scratch(Slot::packed_b, (end - first) * kN * depth);
      for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
        const int64_t d = g.k - k0 < depth ? g.k - k0 : depth;
        for (int64_t j = 0; j < columns; j += kN)
          pack_panel(below(g.b, k0), j0 + j, columns - j < kN ? columns - j : kN, d, panels + j * d);
        multiply({&g, 0, g.m, j0, columns, k0, d, panels});
      }
    });
    return;
  }
  int64_t blocks_at_once = kSharedB / (padded * depth);
  if (blocks_at_once < 1) blocks_at_once = 1;
  const int64_t k_blocks = (g.k + depth - 1) / depth;
  if (blocks_at_once > k_blocks) blocks_at_once = k_blocks;
  float* shared = scratch(Slot::shared_b, padded * depth * blocks_at_once);
  // Tasks: blocks of rows, and of columns where there are few rows. Small enough to balance, by shape alone.
  const int64_t block_m = g.m >= 16 * kBlockM ? kBlockM : kBlockM / 2;
  const int64_t row_blocks = (g.m + block_m - 1) / block_m;
  const int64_t column_blocks = row_blocks >= 12 ? 1 : (12 + row_blocks - 1) / row_blocks;
  const int64_t block_n = round_up((padded + column_blocks - 1) / column_blocks, kN);
  const int64_t across = (padded + block_n - 1) / block_n;
  for (int64_t kb = 0; kb < k_blocks; kb += blocks_at_once) {
    const int64_t blocks = k_blocks - kb < blocks_at_once ? k_blocks - kb : blocks_at_once;
    parallel(count * blocks, [&](int64_t index) {
      const int64_t block = index / count, j = index % count * kN, k0 = (kb + block) * depth;
      const int64_t d = g.k - k0 < depth ? g.k - k0 : depth;
      pack_panel(below(g.b, k0), j, g.n - j < kN ? g.n - j : kN, d, shared + block * padded * depth + j * d);
    });
    parallel(row_blocks * across, [&](int64_t index) {
      const int64_t i = index / across * block_m, j = index % across * block_n;
      const int64_t rows = g.m - i < block_m ? g.m - i : block_m;
      const int64_t columns = g.n - j < block_n ? g.n - j : block_n;
      for (int64_t block = 0; block < blocks; block++) {
        const int64_t k0 = (kb + block) * depth, d = g.k - k0 < depth ? g.k - k0 : depth;
        multiply({&g, i, rows, j, columns, k0, d, shared + block * padded * depth + j * d});
      }
    });
  }
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
