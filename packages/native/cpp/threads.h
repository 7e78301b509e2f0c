// One pool of worker threads per process, shared by every JavaScript thread.
#pragma once
#include <cstdint>

namespace unmask {

using Task = void (*)(const void* context, int64_t index);

// Runs task(context, 0 .. count-1), each index once, in no fixed order. Every thread begins with a share of its own, of
// neighbouring indices, and then helps with those of others, so a slow core takes fewer. A call from inside a task, or
// while another JavaScript thread uses the pool, runs on the calling thread alone. What a task computes must not depend
// on the number of threads.
void run_parallel(int64_t count, Task task, const void* context);

template <class F>
inline void parallel(int64_t count, const F& body) {
  run_parallel(count, [](const void* context, int64_t index) { (*static_cast<const F*>(context))(index); }, &body);
}

// parallel over ranges [begin, end) of at most `grain` of `count` items
template <class F>
inline void parallel_ranges(int64_t count, int64_t grain, const F& body) {
  const int64_t chunks = (count + grain - 1) / grain;
  parallel(chunks, [&](int64_t i) {
    const int64_t begin = i * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

int thread_count();
void set_thread_count(int threads);

}  // namespace unmask
