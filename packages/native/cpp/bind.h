// Node-API glue: turns a C++ function over pointers and numbers into a JavaScript function over typed arrays.
#pragma once
#include <node_api.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <tuple>
#include <utility>

#include "threads.h"

namespace unmask {

// A JavaScript array of typed arrays: the pointers.
struct Arrays {
  static constexpr int kInline = 64;
  void* inline_data[kInline];
  void** data = inline_data;
  int64_t count = 0;
  Arrays() = default;
  Arrays(const Arrays&) = delete;
  ~Arrays() {
    if (data != inline_data) delete[] data;
  }
  template <class T>
  T* at(int64_t i) const {
    return static_cast<T*>(data[i]);
  }
};

namespace bind {

struct Value {
  napi_env env;
  napi_value js;
};

inline void* pointer(Value value, size_t* length = nullptr) {
  bool typed = false;
  napi_is_typedarray(value.env, value.js, &typed);
  if (!typed) return nullptr;  // null or undefined: an absent argument
  void* data = nullptr;
  napi_get_typedarray_info(value.env, value.js, nullptr, length, &data, nullptr, nullptr);
  return data;
}

template <class T>
struct Argument;

template <class T>
struct Argument<T*> {
  T* value;
  Argument(Value from) : value(static_cast<T*>(pointer(from))) {}
  T* get() { return value; }
};
template <>
struct Argument<int64_t> {
  int64_t value = 0;
  Argument(Value from) { napi_get_value_int64(from.env, from.js, &value); }
  int64_t get() { return value; }
};
template <>
struct Argument<int> {
  int32_t value = 0;
  Argument(Value from) { napi_get_value_int32(from.env, from.js, &value); }
  int get() { return value; }
};
template <>
struct Argument<double> {
  double value = 0;
  Argument(Value from) { napi_get_value_double(from.env, from.js, &value); }
  double get() { return value; }
};
template <>
struct Argument<float> {
  double value = 0;
  Argument(Value from) { napi_get_value_double(from.env, from.js, &value); }
  float get() { return static_cast<float>(value); }
};
template <>
struct Argument<bool> {
  bool value = false;
  Argument(Value from) { napi_get_value_bool(from.env, from.js, &value); }
  bool get() { return value; }
};
template <>
struct Argument<const Arrays&> {
  Arrays value;
  Argument(Value from) {
    const auto [env, js] = from;
    uint32_t length = 0;
    napi_get_array_length(env, js, &length);
    if (length > Arrays::kInline) value.data = new void*[length];
    value.count = length;
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    for (uint32_t i = 0; i < length; i++) {
      napi_value element;
      napi_get_element(env, js, i, &element);
      value.data[i] = pointer({env, element});
    }
    napi_close_handle_scope(env, scope);
  }
  const Arrays& get() { return value; }
};

template <class... Args, size_t... I>
void call(void (*function)(Args...), [[maybe_unused]] napi_env env, [[maybe_unused]] napi_value* js, std::index_sequence<I...>) {
  function(Argument<Args>(Value{env, js[I]}).get()...);
}
template <class... Args, size_t... I>
double call(double (*function)(Args...), [[maybe_unused]] napi_env env, [[maybe_unused]] napi_value* js, std::index_sequence<I...>) {
  return function(Argument<Args>(Value{env, js[I]}).get()...);
}

// An argument of a job that runs later. Shapes, strides and other lists that JavaScript makes for one call are copied;
// what tensors live in is left where it is.
template <class T>
struct Kept : Argument<T> {
  using Argument<T>::Argument;
};
template <class T>
struct List {
  std::unique_ptr<T[]> values;
  List(Value from) {
    size_t length = 0;
    const void* data = pointer(from, &length);
    if (data == nullptr) return;
    values.reset(new T[length]);
    memcpy(values.get(), data, length * sizeof(T));
  }
  const T* get() { return values.get(); }
};
template <>
struct Kept<const int32_t*> : List<int32_t> {
  using List::List;
};
template <>
struct Kept<const double*> : List<double> {
  using List::List;
};

template <class... Args>
struct Later : Job {
  void (*function)(Args...);
  std::tuple<Kept<Args>...> kept;
  template <size_t... I>
  Later(void (*f)(Args...), napi_env env, napi_value* js, std::index_sequence<I...>) : function(f), kept(Value{env, js[I]}...) {}
  void run() override {
    std::apply([this](auto&... arguments) { function(arguments.get()...); }, kept);
  }
};

template <class... Args>
std::unique_ptr<Job> later(void (*function)(Args...), napi_env env, napi_value* js) {
  return std::make_unique<Later<Args...>>(function, env, js, std::index_sequence_for<Args...>{});
}

template <class R, class... Args>
constexpr size_t arity(R (*)(Args...)) {
  return sizeof...(Args);
}
template <class... Args>
constexpr bool returns_number(double (*)(Args...)) {
  return true;
}
template <class... Args>
constexpr bool returns_number(void (*)(Args...)) {
  return false;
}

}  // namespace bind

enum class When { at_once, in_turn };

// at_once: the function runs after the calling thread's jobs and before the call returns.
// in_turn: it is enqueued. Its typed arrays must stay where they are until `finish`, and nobody but kernels may write
// them: see Memory in src/memory.ts.
template <auto function, When when = When::at_once>
napi_value entry(napi_env env, napi_callback_info info) {
  constexpr size_t expected = bind::arity(function);
  size_t count = expected;
  napi_value js[expected == 0 ? 1 : expected];
  napi_get_cb_info(env, info, &count, js, nullptr, nullptr);
  if (count < expected) {
    napi_throw_type_error(env, nullptr, "@unmask/native: a kernel was called with too few arguments");
    return nullptr;
  }
  if constexpr (when == When::in_turn) {
    enqueue(bind::later(function, env, js));
    return nullptr;
  } else if constexpr (bind::returns_number(function)) {
    const Lead lead;
    napi_value result;
    napi_create_double(env, bind::call(function, env, js, std::make_index_sequence<expected>{}), &result);
    return result;
  } else {
    const Lead lead;
    bind::call(function, env, js, std::make_index_sequence<expected>{});
    return nullptr;
  }
}

struct Export {
  const char* name;
  napi_callback callback;
};

struct Exports {
  const Export* list;
  size_t count;
};

}  // namespace unmask
