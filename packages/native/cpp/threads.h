// One pool of worker threads per process, and the queue of kernels that JavaScript has asked for.
//
// One thread at a time leads: it runs kernels one after the other, and the others help with their parallel parts. A worker
// leads while JavaScript goes on to ask for more; a JavaScript thread that waits for its results helps too.
#pragma once
#include <cstdint>
#include <memory>

namespace unmask {

using Task = void (*)(const void* context, int64_t index);

// Runs task(context, 0 .. count-1), each index once, in no fixed order. Every thread begins with a share of its own, of
// neighbouring indices, and then helps with those of others, so a slow core takes fewer. A call from inside a task, or
// from a thread that does not lead, runs on the calling thread alone. What a task computes must not depend on the number
// of threads.
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

struct Job {
  virtual void run() = 0;
  virtual ~Job() = default;
};

// Runs the job after those that the calling thread has enqueued before: on another thread or, where it is the only one
// or another JavaScript thread has the pool, at once.
void enqueue(std::unique_ptr<Job> job);

// Returns when all jobs of the calling thread are done.
void finish();

// From now on jobs run before `enqueue` returns.
void never_ahead();

// While it lives, the calling thread leads, after its jobs are done; it computes alone while another JavaScript thread has
// the pool.
class Lead {
 public:
  Lead();
  ~Lead();
  Lead(const Lead&) = delete;

 private:
  bool taken_;
};

int thread_count();
void set_thread_count(int threads);

}  // namespace unmask
