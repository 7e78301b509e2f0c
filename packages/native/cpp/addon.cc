// Entry of the addon: picks the instruction set once and exports the kernels that were compiled for it.
#include <cstdlib>
#include <cstring>
#include <thread>

#include "bind.h"
#include "cpu.h"
#include "memory.h"
#include "threads.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace unmask {
namespace baseline {
Exports exports();
}
#ifdef UNMASK_X64
namespace avx2 {
Exports exports();
}
namespace avx512 {
Exports exports();
}
namespace avx512_bf16 {
Exports exports();
}
#endif

namespace {

Exports exports_of(Isa isa, [[maybe_unused]] bool bf16) {
#ifdef UNMASK_X64
  if (bf16) return avx512_bf16::exports();
  if (isa == Isa::avx512) return avx512::exports();
  if (isa == Isa::avx2) return avx2::exports();
#endif
  return baseline::exports();
}

// Node unloads an addon with the last worker thread that loaded it; the pool's threads still run its code.
void stay_loaded() {
#ifdef _WIN32
  HMODULE self;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                     reinterpret_cast<LPCWSTR>(&stay_loaded), &self);
#else
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&stay_loaded), &self) != 0) dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
#endif
}

// Gives memory back after the jobs that may still use it.
struct Release : Job {
  void* memory;
  explicit Release(void* m) : memory(m) {}
  void run() override { release(memory); }
};

// buffer(bytes): an ArrayBuffer over 64-byte aligned memory; an ordinary one where Node allows no external memory, which
// may go while a job waits.
napi_value buffer(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value js;
  napi_get_cb_info(env, info, &count, &js, nullptr, nullptr);
  int64_t bytes = 0;
  napi_get_value_int64(env, js, &bytes);
  void* memory = bytes < 0 ? nullptr : allocate(static_cast<size_t>(bytes));
  if (memory == nullptr) {
    napi_throw_range_error(env, nullptr, "@unmask/native: out of memory");
    return nullptr;
  }
  napi_value result = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, memory, static_cast<size_t>(bytes),
      [](napi_env, void* data, void*) { enqueue(std::make_unique<Release>(data)); }, nullptr, &result);
  if (status == napi_ok) return result;
  release(memory);
  never_ahead();
  void* data = nullptr;
  napi_create_arraybuffer(env, static_cast<size_t>(bytes), &data, &result);
  return result;
}

// The name of the interface: a JSON string is one of C++ too. src/addon.ts reads the same file.
constexpr char kInterface[] =
#include "interface.json"
    ;

double threads() { return thread_count(); }
void set_threads(int count) { set_thread_count(count); }

napi_value wait_for_all(napi_env, napi_callback_info) {
  finish();
  return nullptr;
}

napi_value init(napi_env env, napi_value exported) {
  Isa isa;
  if (!choose_isa(getenv("UNMASK_ISA"), &isa)) {
    napi_throw_error(env, nullptr, "@unmask/native: UNMASK_ISA names an instruction set that this machine does not have");
    return nullptr;
  }
  const char* wanted = getenv("UNMASK_BF16");
  const bool bf16 = wanted != nullptr && *wanted != '\0' && strcmp(wanted, "0") != 0;
  if (bf16 && !has_bf16(isa)) {
    napi_throw_error(env, nullptr, "@unmask/native: UNMASK_BF16 asks for matrix products in bfloat16, which need AVX-512 BF16; "
                                   "this machine, or what UNMASK_ISA names, does not have it");
    return nullptr;
  }
  stay_loaded();
  auto define = [&](const char* name, napi_callback callback) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    napi_set_named_property(env, exported, name, function);
  };
  const Exports kernels = exports_of(isa, bf16);
  for (size_t i = 0; i < kernels.count; i++) define(kernels.list[i].name, kernels.list[i].callback);
  define("buffer", buffer);
  define("threads", entry<threads>);
  define("setThreads", entry<set_threads>);
  define("finish", wait_for_all);
  // What the jobs of an ending JavaScript thread work on goes with it.
  napi_add_env_cleanup_hook(env, [](void*) { finish(); }, nullptr);
  auto name = [&](const char* key, const char* value) {
    napi_value text;
    napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &text);
    napi_set_named_property(env, exported, key, text);
  };
  name("isa", isa_name(isa));
  name("products", bf16 ? "bfloat16" : "float32");
  name("interface", kInterface);
  return exported;
}

}  // namespace
}  // namespace unmask

NAPI_MODULE_INIT() { return unmask::init(env, exports); }
