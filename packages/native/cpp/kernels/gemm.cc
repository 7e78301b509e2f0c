// Blocked product after Goto and van de Geijn (doi 10.1145/1356052.1356053): B is packed into panels of kN columns,
// a register tile of kM x kN accumulates over up to kBlockK rows of a panel. A is read in place. In bfloat16 both are
// packed in pairs along k (pairs.h): a panel then has half as many rows, and A has a copy of the same layout.
#include "gemm.h"

#include <cstring>

#include "../memory.h"
#include "../threads.h"
#include "activation.h"
#include "exports.h"
#include "pairs.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int kM = kRegisters == 32 ? 12 : 6;  // rows of a tile
constexpr int kV = 2;                          // vectors across a tile
constexpr int kN = kV * W;
constexpr bool kLarge = kM > 8;  // tiles that gain by packing less, and by fetching more, than small ones lose
constexpr int64_t kBlockK = 384 * kPair;
constexpr int64_t kBlockM = 48;                // rows of one task
constexpr int64_t kPackRows = 32;              // rows of B packed by one task
constexpr int64_t kShared = 1 << 21;           // floats of packed B at a time
constexpr int64_t kAhead = 24;                 // columns of A whose next rows are fetched before their turn
constexpr int64_t kDeep = 768;                 // from twice that a sum is long
constexpr int64_t kSmall = 1 << 18;            // floats of a C that each task may have its own of

constexpr int64_t round_up(int64_t x, int64_t multiple) { return (x + multiple - 1) / multiple * multiple; }

// ---- packing ----

// Columns [j, j + width) and rows [0, k) of a column-major B as a panel [lanes_of(k)][kN], missing columns 0.
void pack_panel(const Matrix& b, int64_t j, int64_t width, int64_t k, float* panel) {
  for (int v = 0; v < kV; v++) {
    const int64_t columns = width - v * W < W ? width - v * W : W;
    int64_t p = 0;
    if (columns == W) {
      const float* source = b.data + (j + v * W) * b.column;
      for (; (p + W) * kPair <= k; p += W) {
        vf rows[W];
        for (int i = 0; i < W; i++) rows[i] = pack_along(source + i * b.column + p * kPair, kPair * W);
        transpose(rows);
        for (int i = 0; i < W; i++) store(panel + (p + i) * kN + v * W, rows[i]);
      }
    }
    for (; p < lanes_of(k); p++)
      for (int c = 0; c < W; c++) {
        const float* source = b.data + p * kPair + (j + v * W + c) * b.column;
        panel[p * kN + v * W + c] = c < columns ? pack_one(source, k - p * kPair) : 0.0f;
      }
  }
}

// Rows [begin, end) and columns [j, j + columns) of a row-major B, in the order of memory, into panels of k rows.
void pack_through(const Matrix& b, int64_t j, int64_t columns, int64_t begin, int64_t end, int64_t k, float* panels) {
  for (int64_t p = begin; p < end; p += kPair) {
    const float* source = b.data + p * b.row + j;
    for (int64_t c = 0; c < columns; c += kN)
      for (int v = 0; v < kN; v += W) {
        const int64_t left = least(columns - c - v, W);
        const auto row = [&](int64_t i) UNMASK_LAMBDA {
          return left > 0 && p + i < end ? load_up_to(source + i * b.row + c + v, left) : vf{};
        };
        store(panels + c * lanes_of(k) + p / kPair * kN + v, pack_across(row(0), row(kPair - 1)));
      }
  }
}

void pack_panels(const Matrix& b, int64_t j, int64_t columns, int64_t k, float* panels) {
  if (b.column == 1) return pack_through(b, j, columns, 0, k, k, panels);
  for (int64_t i = 0; i < columns; i += kN) pack_panel(b, j + i, least(columns - i, kN), k, panels + i * lanes_of(k));
}

// Rows of a column-major A as strips [ceil(rows / kM)][k][kM], missing rows 0.
void pack_rows(const float* a, int64_t column, int64_t rows, int64_t k, float* strips) {
  for (int64_t p = 0; p < k; p++, a += column, strips += kM)
    for (int64_t r = 0; r < rows; r += kM)
      for (int i = 0; i < kM; i++) strips[r * k + i] = r + i < rows ? a[r + i] : 0.0f;
}

// Rows of A in pairs: [rows][stride], or of a column-major A [lanes_of(k)][stride].
void pack_pairs(const Matrix& a, int64_t rows, int64_t k, bool column_major, int64_t stride, float* pairs) {
  const int64_t lanes = lanes_of(k);
  if (!column_major) {
    for (int64_t r = 0; r < rows; r++)
      for (int64_t p = 0; p < lanes; p += W)
        store_up_to(pairs + r * stride + p, pack_along(a.data + r * a.row + p * kPair, least(k - p * kPair, W * kPair)),
                    least(lanes - p, W));
    return;
  }
  for (int64_t p = 0; p < lanes; p++)
    for (int64_t r = 0; r < rows; r += W) {
      const float* source = a.data + p * kPair * a.column + r;
      const int64_t left = least(rows - r, W);
      const vf second = (p + 1) * kPair <= k ? load_up_to(source + (kPair - 1) * a.column, left) : vf{};
      store_up_to(pairs + p * stride + r, pack_across(load_up_to(source, left), second), left);
    }
}

// The sums of the rows of a column-major A, where its tiles cannot tell them: pairs see them rounded.
void sum_rows(const Matrix& a, int64_t rows, int64_t k, bool add, float* sums) {
  for (int64_t r = 0; r < rows; r += W) {
    const int64_t left = least(rows - r, W);
    vf sum = add ? load_up_to(sums + r, left) : vf{};
    for (int64_t p = 0; p < k; p++) sum += load_up_to(a.data + p * a.column + r, left);
    store_up_to(sums + r, sum, left);
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
  float* sums;    // of A's rows, for Form::summed
  bool add_sums;  // to what is there
};

// How a tile finds A: row by row, column by column, or that and the sums of its rows over k are wanted too.
enum class Form { rows, columns, summed };

// The epilogue of W elements, `left` of which exist, `offset` floats from the tile's corner.
UNMASK_INLINE vf finished(vf x, const Tile& t, Activation activation, int v, int64_t offset, int64_t left) {
  const Epilogue& e = *t.epilogue;
  const int64_t place = t.row * t.c_row + t.column + offset;
  x = x * e.alpha;
  if (e.bias) x += load_up_to(e.bias + t.column + v * W, left);
  if (activation != Activation::none) {
    const Activated f = activate(x, activation, e.leak, e.slope != nullptr);
    x = f.value;
    if (e.slope) store_up_to(e.slope + place, f.slope, left);
  }
  if (e.factor) x = x * load_up_to(e.factor + place, left);
  if (e.residual) x += load_up_to(e.residual + place, left);
  return x;
}

// Tiles with an activation, and those at the edge of C: long code, of which there is one for all heights.
template <int V>
__attribute__((noinline)) void finish_in_memory(const vf (*sum)[V], int rows, const Tile& t) {
  const Epilogue& e = *t.epilogue;
  const bool plain = !t.last || e.plain();
  const auto vectors = [&](Activation activation, auto left) UNMASK_LAMBDA {
#pragma GCC unroll 1
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < V && left(v) > 0; v++) {
        const int64_t offset = r * t.c_row + v * W;
        vf x = sum[r][v];
        if (t.accumulate) x += load_up_to(t.c + offset, left(v));
        store_up_to(t.c + offset, plain ? x : finished(x, t, activation, v, offset, left(v)), left(v));
      }
  };
  const auto all = [](int) UNMASK_LAMBDA -> int64_t { return W; };
  if (t.width < V * W)
    vectors(e.activation, [&](int v) UNMASK_LAMBDA { return least(t.width - v * W, W); });
  else if (e.activation == Activation::gelu)  // known beforehand where most time goes into it
    vectors(Activation::gelu, all);
  else
    vectors(e.activation, all);
}

// Whole tiles without an activation stay in registers.
template <int R, int V>
UNMASK_INLINE void finish(vf (&sum)[R][V], const Tile& t) {
  const Epilogue& e = *t.epilogue;
  const bool plain = !t.last || e.plain();
  if (t.width >= V * W && (plain || e.activation == Activation::none)) {
    if (t.accumulate) unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { sum[r][v] += load(t.c + r * t.c_row + v * W); });
    if (!plain) {
      unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { sum[r][v] = sum[r][v] * e.alpha; });
      if (e.bias) {
        const float* bias = e.bias + t.column;
        unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { sum[r][v] += load(bias + v * W); });
      }
      if (e.factor) {
        const float* factor = e.factor + t.row * t.c_row + t.column;
        unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { sum[r][v] = sum[r][v] * load(factor + r * t.c_row + v * W); });
      }
      if (e.residual) {
        const float* residual = e.residual + t.row * t.c_row + t.column;
        unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { sum[r][v] += load(residual + r * t.c_row + v * W); });
      }
    }
    unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { store(t.c + r * t.c_row + v * W, sum[r][v]); });
    return;
  }
  vf in_memory[R][V];
  unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { in_memory[r][v] = sum[r][v]; });
  finish_in_memory<V>(in_memory, R, t);
}

// Fetches what the epilogue will touch of one row.
UNMASK_INLINE void fetch_row(const Tile& t, int64_t r) {
  const Epilogue& e = *t.epilogue;
  const int64_t place = (t.row + r) * t.c_row + t.column;
  for (int64_t v = 0; v < kN; v += 16) {
    __builtin_prefetch(t.c + r * t.c_row + v, 1);
    if (!t.last) continue;
    if (e.slope) __builtin_prefetch(e.slope + place + v, 1);
    if (e.factor) __builtin_prefetch(e.factor + place + v);
    if (e.residual) __builtin_prefetch(e.residual + place + v);
  }
}

// R rows of A times a panel of k rows. `stride` is A's between rows, or, column by column, between columns.
template <int R, int V, Form form>
void tile(int64_t k, const float* a, int64_t stride, const float* b, const Tile& t) {
  vf sum[R][V];
  unrolled<R, V>([&](auto r, auto v) UNMASK_LAMBDA { sum[r][v] = vf{}; });
  constexpr int kSums = form == Form::summed ? (R + W - 1) / W : 0;
  vf row_sums[kSums + 1] = {};
  constexpr int kGroup = 3;  // rows that share a base register: base, base + stride, base + 2 * stride
  constexpr int kGroups = form == Form::rows ? (R + kGroup - 1) / kGroup : 1;
  const float* base[kGroups];
  unrolled<kGroups>([&](auto g) UNMASK_LAMBDA { base[g] = a + g * kGroup * stride; });
  // Spread over the steps, as all at once would fill the queue of misses.
  const int64_t pause = k / R;
  int64_t fetched = 0;
  for (int64_t p = 0; p < k; p++) {
    if (p == fetched * pause && fetched < R) fetch_row(t, fetched++);
    if (form == Form::summed || (form == Form::columns && kLarge)) __builtin_prefetch(base[0] + kAhead * stride + 16);
    vf row[V];
    unrolled<V>([&](auto v) UNMASK_LAMBDA { row[v] = load(b + v * W); });
    unrolled<R>([&](auto r) UNMASK_LAMBDA {
      const vf x = splat(form == Form::rows ? base[r / kGroup][(r % kGroup) * stride] : base[0][r]);
      unrolled<V>([&](auto v) UNMASK_LAMBDA { sum[r][v] = multiply_add(x, row[v], sum[r][v]); });
    });
    unrolled<kSums>([&](auto s) UNMASK_LAMBDA { row_sums[s] += load_up_to(base[0] + s * W, least(R - s * W, W)); });
    b += kN;
    unrolled<kGroups>([&](auto g) UNMASK_LAMBDA { base[g] += form == Form::rows ? 1 : stride; });
  }
  unrolled<kSums>([&](auto s) UNMASK_LAMBDA {
    const int64_t left = least(R - s * W, W);
    store_up_to(t.sums + s * W, t.add_sums ? row_sums[s] + load_up_to(t.sums + s * W, left) : row_sums[s], left);
  });
  finish<R, V>(sum, t);
}

using TileFunction = void (*)(int64_t, const float*, int64_t, const float*, const Tile&);

template <int V, Form form, int... R>
TileFunction pick_tile(int rows, std::integer_sequence<int, R...>) {
  static constexpr TileFunction table[] = {tile<R + 1, V, form>...};
  return table[rows - 1];
}

template <int V>
TileFunction tile_for(int rows, Form form) {
  constexpr auto all = std::make_integer_sequence<int, kM>{};
  if (form == Form::rows) return pick_tile<V, Form::rows>(rows, all);
  return form == Form::columns ? pick_tile<V, Form::columns>(rows, all) : pick_tile<V, Form::summed>(rows, all);
}

// ---- blocks ----

// Rows [i, i + rows) times the packed panels of columns [j, j + columns) and of rows [k0, k0 + depth) of B.
struct Block {
  const Gemm* g;
  int64_t i, rows, j, columns, k0, depth;
  const float* panels;  // of this block of B, [columns / kN][lanes_of(depth)][kN]
};

// Columns of A that lie multiples of 4 KB apart share a few cache sets, where a line does not last until the tile
// that needs the rest of it.
bool evicts_itself(const Gemm& g) { return !kLarge && g.a.column % 1024 == 0; }

void multiply(const Block& block) {
  const Gemm& g = *block.g;
  const bool column_major = g.a.column != 1 || g.a_row_sums != nullptr;
  const float* a = g.a.data + block.i * g.a.row + block.k0 * g.a.column;
  int64_t next = g.a.row, stride = column_major ? g.a.column : g.a.row;  // floats between rows; `stride` of `tile`
  const int64_t lanes = lanes_of(block.depth);
  const bool summed = g.a_row_sums != nullptr && block.j == 0;
  if (kPair > 1) {
    const Matrix rows{a, g.a.row, g.a.column};
    if (summed) sum_rows(rows, block.rows, block.depth, block.k0 > 0, g.a_row_sums + block.i);
    stride = column_major ? round_up(block.rows, W) : lanes;
    next = column_major ? 1 : lanes;
    float* pairs = scratch(Slot::packed_a, round_up(block.rows, W) * lanes);
    pack_pairs(rows, block.rows, block.depth, column_major, stride, pairs);
    a = pairs;
  } else if (evicts_itself(g)) {
    float* strips = scratch(Slot::packed_a, round_up(block.rows, kM) * block.depth);
    pack_rows(a, g.a.column, block.rows, block.depth, strips);
    a = strips;
    next = block.depth;
    stride = kM;
  }
  for (int64_t j = 0; j < block.columns; j += kN) {
    const float* panel = block.panels + j * lanes;
    const int64_t width = least(block.columns - j, kN);
    const bool sums = kPair == 1 && summed && j == 0;
    const Form form = !column_major ? Form::rows : sums ? Form::summed : Form::columns;
    for (int64_t i = 0; i < block.rows; i += kM) {
      const int rows = static_cast<int>(least(block.rows - i, kM));
      const Tile t{g.c + (block.i + i) * g.c_row + block.j + j, g.c_row, block.i + i, block.j + j, width,
                   block.k0 > 0 || g.accumulate, block.k0 + block.depth == g.k, &g.epilogue,
                   sums ? g.a_row_sums + block.i + i : nullptr, block.k0 > 0};
      const TileFunction run = width <= W ? tile_for<1>(rows, form) : tile_for<kV>(rows, form);
      run(lanes, a + i * next, stride, panel, t);
    }
  }
}

// An empty sum still has an epilogue.
void fill_empty(const Gemm& g) {
  for (int64_t i = 0; i < g.m; i++)
    for (int64_t j = 0; j < g.n; j += W) {
      vf sum[1][1] = {};
      finish<1, 1>(sum, {g.c + i * g.c_row + j, g.c_row, i, j, least(g.n - j, W), g.accumulate, true, &g.epilogue, nullptr, false});
    }
  if (g.a_row_sums != nullptr)
    for (int64_t i = 0; i < g.m; i++) g.a_row_sums[i] = 0;
}

int64_t depth_of_blocks(int64_t k) {
  const int64_t blocks = (k + kBlockK - 1) / kBlockK;
  return round_up((k + blocks - 1) / blocks, W * kPair);
}

Matrix below(const Matrix& b, int64_t rows) { return {b.data + rows * b.row, b.row, b.column}; }
Matrix right_of(const Matrix& a, int64_t columns) { return {a.data + columns * a.column, a.row, a.column}; }
Matrix transposed(const Matrix& a) { return {a.data, a.column, a.row}; }

// More columns than rows: each task packs the panels that it needs, once, and keeps them for all rows.
void multiply_by_columns(const Gemm& g) {
  const int64_t depth = depth_of_blocks(g.k), count = (g.n + kN - 1) / kN;
  parallel_ranges(count, least(4, 1 + count / 16), [&](int64_t first, int64_t end) {
    const int64_t j0 = first * kN, columns = least(end * kN, g.n) - j0;
    float* panels = scratch(Slot::packed_b, (end - first) * kN * lanes_of(depth));
    for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
      const int64_t d = least(g.k - k0, depth);
      pack_panels(below(g.b, k0), j0, columns, d, panels);
      for (int64_t i = 0; i < g.m; i += kBlockM)
        multiply({&g, i, least(g.m - i, kBlockM), j0, columns, k0, d, panels});
    }
  });
}

// More rows than columns: B is packed by all threads, a number of blocks of k at a time, and shared.
void multiply_by_rows(const Gemm& g) {
  const int64_t depth = depth_of_blocks(g.k), k_blocks = (g.k + depth - 1) / depth;
  const int64_t padded_n = round_up(g.n, kN), panels = padded_n / kN;
  const int64_t size = padded_n * lanes_of(depth);  // of a block of B
  int64_t at_once = kShared / size;
  at_once = at_once < 1 ? 1 : least(at_once, k_blocks);
  const int64_t stages = (k_blocks + at_once - 1) / at_once;
  at_once = (k_blocks + stages - 1) / stages;
  float* shared = scratch(Slot::shared_b, size * at_once);

  // Tasks of multiplying: blocks of rows, and of columns where there are few rows; by the shape alone.
  const int64_t row_blocks = (g.m + kBlockM - 1) / kBlockM;
  const int64_t column_blocks = row_blocks >= 12 ? 1 : (12 + row_blocks - 1) / row_blocks;
  const int64_t block_n = round_up((padded_n + column_blocks - 1) / column_blocks, kN);
  const int64_t across = (padded_n + block_n - 1) / block_n;

  for (int64_t kb = 0; kb < k_blocks; kb += at_once) {
    const int64_t blocks = least(k_blocks - kb, at_once);
    const auto start = [&](int64_t block) { return (kb + block) * depth; };
    const auto depth_of = [&](int64_t block) { return least(g.k - start(block), depth); };
    const int64_t parts = g.b.column == 1 ? (depth + kPackRows - 1) / kPackRows : panels;
    parallel(parts * blocks, [&](int64_t index) {
      const int64_t block = index / parts, part = index % parts, d = depth_of(block);
      const Matrix b = below(g.b, start(block));
      float* to = shared + block * size;
      if (g.b.column == 1)
        pack_through(b, 0, g.n, least(part * kPackRows, d), least((part + 1) * kPackRows, d), d, to);
      else
        pack_panel(b, part * kN, least(g.n - part * kN, kN), d, to + part * kN * lanes_of(d));
    });
    parallel(row_blocks * across, [&](int64_t index) {
      const int64_t i = index / across * kBlockM, j = index % across * block_n;
      for (int64_t block = 0; block < blocks; block++) {
        const int64_t d = depth_of(block);
        multiply({&g, i, least(g.m - i, kBlockM), j, least(g.n - j, block_n), start(block), d,
                  shared + block * size + j * lanes_of(d)});
      }
    });
  }
}

// Long sums for a small C, as for a gradient of weights: each task has a range of k and a C of its own, added up in
// order. What a task packs stays in its cache; where A is the narrower, it is packed, for the transposed product.
void multiply_deep(const Gemm& g) {
  const int64_t tasks = least(16, g.k / kDeep * 2), size = g.m * g.n, sums = g.a_row_sums ? g.m : 0;
  const int64_t range = (g.k + tasks - 1) / tasks;
  const bool flipped = kLarge && g.m < g.n && g.a.row == 1 && g.b.column == 1;
  float* partial = scratch(Slot::partial, tasks * (size + sums));
  parallel(tasks, [&](int64_t task) {
    const int64_t k0 = least(task * range, g.k), k = least(g.k - k0, range);
    const Matrix a = right_of(g.a, k0), b = below(g.b, k0);
    float* c = partial + task * (size + sums);
    float* row_sums = sums > 0 ? c + size : nullptr;
    if (!flipped) return gemm_serial({g.m, g.n, k, a, b, c, g.n, {}, false, row_sums});
    if (row_sums) sum_rows(a, g.m, k, false, row_sums);
    gemm_serial({g.n, g.m, k, transposed(b), transposed(a), c, g.m, {}});
  });
  const auto total = [&](int64_t from, int64_t left) UNMASK_LAMBDA {
    vf sum = load_up_to(partial + from, left);
    for (int64_t task = 1; task < tasks; task++) sum += load_up_to(partial + task * (size + sums) + from, left);
    return sum;
  };
  const auto add_up = [&](int64_t from, float* to, int64_t count) {
    for (int64_t i = 0; i < count; i += W) store_up_to(to + i, total(from + i, least(count - i, W)), least(count - i, W));
  };
  const auto add_up_flipped = [&](int64_t i, int64_t rows) {
    for (int64_t j = 0; j < g.n; j += W) {
      const int64_t columns = least(g.n - j, W);
      vf block[W] = {};
      for (int64_t c = 0; c < columns; c++) block[c] = total((j + c) * g.m + i, rows);
      transpose(block);
      for (int64_t r = 0; r < rows; r++) store_up_to(g.c + (i + r) * g.c_row + j, block[r], columns);
    }
  };
  parallel_ranges((g.m + W - 1) / W, 1 + 4096 / (W * g.n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * W; i < least(end * W, g.m); i += W) {
      const int64_t rows = least(g.m - i, W);
      if (flipped) add_up_flipped(i, rows);
      else for (int64_t r = 0; r < rows; r++) add_up((i + r) * g.n, g.c + (i + r) * g.c_row, g.n);
    }
  });
  if (sums > 0) add_up(size, g.a_row_sums, sums);
}

}  // namespace

void gemm_serial(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) return fill_empty(g);
  const int64_t depth = depth_of_blocks(g.k);
  float* panels = scratch(Slot::packed_b, round_up(g.n, kN) * lanes_of(depth));
  for (int64_t k0 = 0; k0 < g.k; k0 += depth) {
    const int64_t d = least(g.k - k0, depth);
    pack_panels(below(g.b, k0), 0, g.n, d, panels);
    for (int64_t i = 0; i < g.m; i += kBlockM) multiply({&g, i, least(g.m - i, kBlockM), 0, g.n, k0, d, panels});
  }
}

int64_t packed_columns(int64_t n) { return round_up(n, kN); }

void pack(const Matrix& b, int64_t n, int64_t k, float* packed) { pack_panels(b, 0, n, k, packed); }

void gemm_packed(const Gemm& g, const float* packed) {
  if (g.k == 0) return fill_empty(g);
  multiply({&g, 0, g.m, 0, g.n, 0, g.k, packed});
}

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.k == 0 || g.m * g.n * g.k < (1 << 15)) return gemm_serial(g);
  if (g.k >= 2 * kDeep && g.m * g.n <= kSmall && g.epilogue.plain() && !g.accumulate) return multiply_deep(g);
  if (g.m <= 2 * kBlockM || g.n > g.m) return multiply_by_columns(g);
  multiply_by_rows(g);
}

// Batches of products; a stride of 0 between batches shares an operand. Batch i of C follows batch i - 1.
void matmul(const float* a, int64_t a_offset, int64_t a_row, int64_t a_column, int64_t a_batch, const float* b,
            int64_t b_offset, int64_t b_row, int64_t b_column, int64_t b_batch, float* c, int64_t batch, int64_t m,
            int64_t n, int64_t k, float alpha, const float* bias, int activation, float leak, float* slope,
            const float* factor, const float* residual, float* row_sums) {
  auto product = [&](int64_t i) {
    const int64_t at = i * m * n;
    return Gemm{m, n, k, {a + a_offset + i * a_batch, a_row, a_column}, {b + b_offset + i * b_batch, b_row, b_column}, c + at, n,
                {alpha, bias, static_cast<Activation>(activation), leak, slope ? slope + at : nullptr,
                 factor ? factor + at : nullptr, residual ? residual + at : nullptr},
                false, row_sums};
  };
  if (batch >= 8 || (batch > 1 && m * n * k < (1 << 20)))
    parallel(batch, [&](int64_t i) { gemm_serial(product(i)); });
  else
    for (int64_t i = 0; i < batch; i++) gemm(product(i));
}

}  // namespace unmask::UNMASK_ISA
