#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace unmask {
namespace {

inline void relax() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How long a worker looks for the next job before it sleeps, some tenths of a millisecond: a training step issues
// jobs tens of microseconds apart, and waking a thread whose core sleeps costs as much.
constexpr int kSpins = 40000;
constexpr int kMostShares = 64;

thread_local bool inside_task = false;

struct Pool {
  std::mutex entry;  // held by the JavaScript thread whose job runs
  std::mutex mutex;  // guards what follows
  std::condition_variable wake, done;
  std::atomic<uint64_t> generation{0};
  std::atomic<int> running{0};
  bool open = false;
  int workers = 0;  // threads started
  std::atomic<int> wanted{1};

  Task task = nullptr;
  const void* context = nullptr;
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  Share share[kMostShares];
  int shares = 1;

  // Its own share, then what is left of the others': the rows that a thread has written for one job lie in its cache
  // when it reads them for the next.
  void drain(int id) {
    inside_task = true;
    for (int s = 0; s < shares; s++) {
      Share& from = share[(id + s) % shares];
      for (int64_t i; (i = from.next.fetch_add(1, std::memory_order_relaxed)) < from.end;) task(context, i);
    }
    inside_task = false;
  }

  void work(int id) {
    uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && generation.load(std::memory_order_acquire) == seen; spin++) relax();
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return generation.load(std::memory_order_relaxed) != seen; });
        seen = generation.load(std::memory_order_relaxed);
        if (!open || id >= wanted.load(std::memory_order_relaxed)) continue;
        running.fetch_add(1, std::memory_order_relaxed);
      }
      drain(id);
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard lock(mutex);
        done.notify_one();
      }
    }
  }

  void run(int64_t jobs, Task job, const void* job_context) {
    const int threads = wanted.load(std::memory_order_relaxed);
    {
      std::lock_guard lock(mutex);
      task = job;
      context = job_context;
      shares = threads < kMostShares ? threads : kMostShares;
      for (int s = 0; s < shares; s++) {
        share[s].next.store(jobs * s / shares, std::memory_order_relaxed);
        share[s].end = jobs * (s + 1) / shares;
      }
      open = true;
      // Detached and never joined: a joinable thread would abort the process on an uncaught exception.
      for (; workers < threads - 1; workers++) std::thread([this, id = workers + 1] { work(id); }).detach();
      generation.fetch_add(1, std::memory_order_release);
    }
    if (jobs - 1 >= threads - 1)
      wake.notify_all();
    else
      for (int64_t i = 1; i < jobs; i++) wake.notify_one();
    drain(0);
    {
      std::lock_guard lock(mutex);
      open = false;
    }
    for (int spin = 0; spin < kSpins && running.load(std::memory_order_acquire) != 0; spin++) relax();
    if (running.load(std::memory_order_acquire) != 0) {
      std::unique_lock lock(mutex);
      done.wait(lock, [&] { return running.load(std::memory_order_acquire) == 0; });
    }
  }
};

// Leaked on purpose: its threads outlive static destruction.
Pool& pool() {
  static Pool* shared = new Pool;
  return *shared;
}

}  // namespace

void run_parallel(int64_t count, Task task, const void* context) {
  Pool& shared = pool();
  if (count > 1 && !inside_task && shared.wanted.load(std::memory_order_relaxed) > 1) {
    std::unique_lock lock(shared.entry, std::try_to_lock);
    if (lock.owns_lock()) {
      shared.run(count, task, context);
      return;
    }
  }
  for (int64_t i = 0; i < count; i++) task(context, i);
}

int thread_count() { return pool().wanted.load(std::memory_order_relaxed); }

void set_thread_count(int threads) { pool().wanted.store(threads < 1 ? 1 : threads, std::memory_order_relaxed); }

}  // namespace unmask
