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

// How long a thread looks for something to do before it sleeps, some tenths of a millisecond: a training step issues
// kernels tens of microseconds apart, and waking a thread whose core sleeps costs as much.
constexpr int kSpins = 40000;
constexpr int kMostShares = 64;
// More than a training step has kernels; beyond it JavaScript waits.
constexpr int kMostJobs = 2048;

thread_local bool inside_task = false;
thread_local bool leads = false;
thread_local int own_share = 0;  // workers count from 1
thread_local char identity;      // its address tells threads apart

struct Pool {
  std::mutex mutex;
  std::condition_variable wake, done;
  int sleepers = 0;
  int workers = 0;  // threads started
  std::atomic<int> wanted{1};

  // The queue. Its jobs are all of one JavaScript thread, the owner.
  std::unique_ptr<Job> jobs[kMostJobs];
  int first = 0;
  std::atomic<int> queued{0};
  std::atomic<bool> leading{false};
  std::atomic<const void*> owner{nullptr};
  std::atomic<bool> ahead{true};

  // The parallel part that the leader is in.
  std::atomic<uint64_t> generation{0};
  std::atomic<int> running{0};
  bool open = false;
  Task task = nullptr;
  const void* context = nullptr;
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  Share share[kMostShares];
  int shares = 1;

  bool idle() const { return queued.load(std::memory_order_acquire) == 0 && !leading.load(std::memory_order_acquire); }
  bool unled() const { return queued.load(std::memory_order_acquire) > 0 && !leading.load(std::memory_order_acquire); }
  bool is_wanted(int id) const { return id < wanted.load(std::memory_order_relaxed); }
  bool is_mine() const { return owner.load(std::memory_order_relaxed) == &identity; }

  // Its own share, then what is left of the others': the rows that a thread has written for one part lie in its cache
  // when it reads them for the next.
  void drain() {
    inside_task = true;
    for (int s = 0; s < shares; s++) {
      Share& from = share[(own_share + s) % shares];
      for (int64_t i; (i = from.next.fetch_add(1, std::memory_order_relaxed)) < from.end;) task(context, i);
    }
    inside_task = false;
  }

  // Runs the queue's jobs until there is none.
  void lead() {
    leads = true;
    for (;;) {
      std::unique_ptr<Job> job;
      {
        std::lock_guard lock(mutex);
        if (queued.load(std::memory_order_relaxed) == 0) {
          leading.store(false, std::memory_order_release);
          if (sleepers > 0) wake.notify_all();
          break;
        }
        job = std::move(jobs[first]);
        first = (first + 1) % kMostJobs;
        queued.fetch_sub(1, std::memory_order_release);
      }
      job->run();
    }
    leads = false;
  }

  // Leads where nobody does, and helps, until `enough`.
  template <class F>
  void serve(const F& enough) {
    const int id = own_share;
    uint64_t seen = ~uint64_t{0};
    const auto stirs = [&] {
      return enough() || generation.load(std::memory_order_acquire) != seen || (unled() && is_wanted(id));
    };
    for (;;) {
      for (int spin = 0; spin < kSpins && !stirs(); spin++) relax();
      std::unique_lock lock(mutex);
      sleepers++;
      wake.wait(lock, stirs);
      sleepers--;
      if (enough()) return;
      if (unled() && is_wanted(id)) {
        leading.store(true, std::memory_order_relaxed);
        lock.unlock();
        lead();
        continue;
      }
      seen = generation.load(std::memory_order_relaxed);
      if (!open || !is_wanted(id)) continue;
      running.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();
      drain();
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        lock.lock();
        done.notify_one();
      }
    }
  }

  // Detached and never joined: a joinable thread would abort the process on an uncaught exception.
  void start_workers() {
    for (const int threads = wanted.load(std::memory_order_relaxed); workers < threads - 1; workers++)
      std::thread([this, id = workers + 1] {
        own_share = id;
        serve([] { return false; });
      }).detach();
  }

  // A parallel part of the job that the calling thread runs as the leader.
  void run(int64_t count, Task part, const void* part_context) {
    {
      std::lock_guard lock(mutex);
      const int threads = wanted.load(std::memory_order_relaxed);
      task = part;
      context = part_context;
      shares = threads < kMostShares ? threads : kMostShares;
      for (int s = 0; s < shares; s++) {
        share[s].next.store(count * s / shares, std::memory_order_relaxed);
        share[s].end = count * (s + 1) / shares;
      }
      open = true;
      start_workers();
      generation.fetch_add(1, std::memory_order_release);
      if (count >= sleepers + 1)
        wake.notify_all();
      else
        for (int64_t i = 1; i < count; i++) wake.notify_one();
    }
    drain();
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

  // Whether the job was taken into the queue; false where the calling thread has to run it.
  bool push(std::unique_ptr<Job>& job) {
    for (;;) {
      {
        std::lock_guard lock(mutex);
        if (!is_wanted(1) || !ahead || !(idle() || is_mine())) return false;
        const int count = queued.load(std::memory_order_relaxed);
        if (count < kMostJobs) {
          owner.store(&identity, std::memory_order_relaxed);
          jobs[(first + count) % kMostJobs] = std::move(job);
          start_workers();
          queued.fetch_add(1, std::memory_order_release);
          if (sleepers > 0 && !leading.load(std::memory_order_relaxed)) wake.notify_all();
          return true;
        }
      }
      wait();
    }
  }

  void wait() {
    if (!idle() && is_mine()) serve([&] { return idle(); });
  }

  bool take_lead() {
    wait();
    std::lock_guard lock(mutex);
    if (!is_wanted(1) || !idle()) return false;
    owner.store(&identity, std::memory_order_relaxed);
    leading.store(true, std::memory_order_relaxed);
    return leads = true;
  }

  void leave_lead() {
    leads = false;
    std::lock_guard lock(mutex);
    leading.store(false, std::memory_order_release);
    if (sleepers > 0 && queued.load(std::memory_order_relaxed) > 0) wake.notify_all();
  }
};

// Leaked on purpose: its threads outlive static destruction.
Pool& pool() {
  static Pool* shared = new Pool;
  return *shared;
}

}  // namespace

void run_parallel(int64_t count, Task task, const void* context) {
  if (count > 1 && leads && !inside_task && thread_count() > 1) {
    pool().run(count, task, context);
    return;
  }
  for (int64_t i = 0; i < count; i++) task(context, i);
}

void enqueue(std::unique_ptr<Job> job) {
  if (pool().push(job)) return;
  const Lead lead;
  job->run();
}

void finish() { pool().wait(); }
void never_ahead() { pool().ahead = false; }

Lead::Lead() : taken_(pool().take_lead()) {}
Lead::~Lead() {
  if (taken_) pool().leave_lead();
}

int thread_count() { return pool().wanted.load(std::memory_order_relaxed); }

void set_thread_count(int threads) { pool().wanted.store(threads < 1 ? 1 : threads, std::memory_order_relaxed); }

}  // namespace unmask
