// Nearest points of a cloud by a k-d tree. Points of equal distance come in the order of their index, so that results
// do not depend on how the tree was built.
#include "../memory.h"
#include "../threads.h"
#include "exact.h"
#include "points.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kLeaf = 24;
constexpr int64_t kQueries = 64;  // queries of one task
constexpr int kDepth = 128;       // more than a tree of 2^31 points needs
// Distances are rounded to float32; a box is passed over only where it is farther by more than that.
constexpr double kSlack = 1 - 1e-6;

struct Node {
  float low[3], high[3];
  int32_t begin, end;
  int32_t child;  // the left one, the right one following; -1 in a leaf
};

// Memory of one tree: it lives as long as a call, and may be more than a thread should keep.
template <class T>
struct Block {
  T* data;
  explicit Block(int64_t count) : data(static_cast<T*>(allocate(static_cast<size_t>(count) * sizeof(T)))) {
    if (data == nullptr) __builtin_abort();
  }
  Block(const Block&) = delete;
  ~Block() { release(data); }
};

// Quickselect: afterwards no point before `middle` is above it on the axis, and none after it below.
void select_median(const float* cloud, int32_t* order, int axis, int64_t low, int64_t high, int64_t middle) {
  while (low < high) {
    const float pivot = cloud[3 * int64_t{order[(low + high) >> 1]} + axis];
    int64_t i = low, j = high;
    while (i <= j) {
      while (cloud[3 * int64_t{order[i]} + axis] < pivot) i++;
      while (cloud[3 * int64_t{order[j]} + axis] > pivot) j--;
      if (i > j) break;
      const int32_t swap = order[i];
      order[i++] = order[j];
      order[j--] = swap;
    }
    if (middle <= j) high = j;
    else if (middle >= i) low = i;
    else return;
  }
}

void bound(const float* cloud, const int32_t* order, Node& node) {
  for (int d = 0; d < 3; d++) {
    node.low[d] = __builtin_inff();
    node.high[d] = -__builtin_inff();
  }
  for (int64_t i = node.begin; i < node.end; i++)
    for (int d = 0; d < 3; d++) {
      const float value = cloud[3 * int64_t{order[i]} + d];
      if (value < node.low[d]) node.low[d] = value;
      if (value > node.high[d]) node.high[d] = value;
    }
}

// Splits at the median of the longest side; moves `order` so that each node's points lie together.
void build(const float* cloud, int64_t points, int32_t* order, Node* nodes) {
  for (int64_t i = 0; i < points; i++) order[i] = static_cast<int32_t>(i);
  nodes[0].begin = 0;
  nodes[0].end = static_cast<int32_t>(points);
  int32_t used = 1;
  for (int32_t at = 0; at < used; at++) {
    Node& node = nodes[at];
    bound(cloud, order, node);
    node.child = -1;
    int axis = 0;
    float longest = 0;
    for (int d = 0; d < 3; d++)
      if (node.high[d] - node.low[d] > longest) {
        longest = node.high[d] - node.low[d];
        axis = d;
      }
    if (node.end - node.begin <= kLeaf || !(longest > 0)) continue;  // copies of one point stay in one leaf
    const int32_t middle = static_cast<int32_t>((int64_t{node.begin} + node.end) >> 1);
    select_median(cloud, order, axis, node.begin, node.end - 1, middle);
    node.child = used;
    nodes[used].begin = node.begin;
    nodes[used].end = nodes[used + 1].begin = middle;
    nodes[used + 1].end = node.end;
    used += 2;
  }
}

// Halves stop at kLeaf points or fewer, so that no leaf but one of copies has fewer than half of that.
int64_t most_nodes(int64_t points) { return 4 * (points / kLeaf + 1) + 1; }

struct Tree {
  const Node* nodes;
  const int32_t* order;
  const float* axes[3];  // coordinates in the order of the tree, with room for a vector after the last
};

UNMASK_INLINE double to_box(const Node& node, const float* q) {
  double sum = 0;
  for (int d = 0; d < 3; d++) {
    const double below = double{node.low[d]} - double{q[d]}, above = double{q[d]} - double{node.high[d]};
    const double gap = below > above ? below : above;
    sum += gap > 0 ? gap * gap : 0;
  }
  return sum * kSlack;
}

// The k nearest so far, nearest first.
struct Found {
  int32_t* index;
  float* distance;
  int64_t k, count;
  float limit;  // nothing beyond is looked for

  void take(float d, int32_t at) {
    if (count == k && !(d < distance[k - 1] || (d == distance[k - 1] && at < index[k - 1]))) return;
    int64_t place = count < k ? count++ : k - 1;
    for (; place > 0; place--) {
      if (distance[place - 1] < d || (distance[place - 1] == d && index[place - 1] < at)) break;
      distance[place] = distance[place - 1];
      index[place] = index[place - 1];
    }
    distance[place] = d;
    index[place] = at;
    if (count == k) limit = distance[k - 1];
  }
};

void look_at_leaf(const Tree& tree, const Node& leaf, const float* q, Found& found) {
  for (int64_t i = leaf.begin; i < leaf.end; i += W) {
    const vf d = squared_distance(load(tree.axes[0] + i) - q[0], load(tree.axes[1] + i) - q[1], load(tree.axes[2] + i) - q[2]);
    float distances[W];
    store(distances, d);
    const int64_t width = leaf.end - i < W ? leaf.end - i : W;
    for (int64_t l = 0; l < width; l++)
      if (distances[l] <= found.limit) found.take(distances[l], tree.order[i + l]);
  }
}

// Up to k points within a squared radius of q, nearest first; how many there are
int64_t search(const Tree& tree, const float* q, int64_t k, float radius, int32_t* index, float* distance) {
  Found found{index, distance, k, 0, radius};
  int32_t stack[kDepth];
  double bounds[kDepth];
  int depth = 1;
  stack[0] = 0;
  bounds[0] = to_box(tree.nodes[0], q);
  while (depth > 0) {
    const Node& node = tree.nodes[stack[--depth]];
    if (bounds[depth] > double{found.limit}) continue;
    if (node.child < 0) {
      look_at_leaf(tree, node, q, found);
      continue;
    }
    const double left = to_box(tree.nodes[node.child], q), right = to_box(tree.nodes[node.child + 1], q);
    const int nearer = left <= right ? 0 : 1;  // looked at first
    stack[depth] = node.child + 1 - nearer;
    bounds[depth++] = nearer ? left : right;
    stack[depth] = node.child + nearer;
    bounds[depth++] = nearer ? right : left;
  }
  return found.count;
}

}  // namespace

// index [count, k]: the points of the cloud [points, 3] nearest to each query, nearest first, and no farther than the
// squared `radius`. Where there are fewer the first of them repeats; where there is none the nearest point stands in.
// 1 <= k <= points; coordinates are finite (what is returned for others is some index inside the cloud).
void near_points(const float* cloud, const float* queries, int32_t* index, int64_t points, int64_t count, int64_t k,
                 float radius) {
  Block<Node> nodes(most_nodes(points)), query_nodes(most_nodes(count));
  Block<int32_t> order(points), query_order(count);
  Block<float> sorted(3 * (points + W));
  build(cloud, points, order.data, nodes.data);
  float* axes[3] = {sorted.data, sorted.data + points + W, sorted.data + 2 * (points + W)};
  for (int d = 0; d < 3; d++)
    for (int64_t i = 0; i < points + W; i++) axes[d][i] = i < points ? cloud[3 * int64_t{order.data[i]} + d] : 0;
  // Queries in the order of a tree of their own, so that one finds in the cache what its neighbour looked at.
  build(queries, count, query_order.data, query_nodes.data);
  const Tree tree{nodes.data, order.data, {axes[0], axes[1], axes[2]}};
  parallel_ranges(count, kQueries, [&](int64_t begin, int64_t end) {
    float* distance = scratch(Slot::rows, k);
    for (int64_t i = begin; i < end; i++) {
      const int64_t q = query_order.data[i];
      int32_t* own = index + q * k;
      int64_t found = search(tree, queries + 3 * q, k, radius, own, distance);
      if (found == 0) found = search(tree, queries + 3 * q, 1, __builtin_inff(), own, distance);
      if (found == 0) own[0] = 0;  // no distance is a number
      for (int64_t j = found == 0 ? 1 : found; j < k; j++) own[j] = own[0];
    }
  });
}

}  // namespace unmask::UNMASK_ISA
