// Node-API glue: turns a C++ function over pointers and numbers into a JavaScript function over typed arrays.
#pragma once
#include <node_api.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace unmask {

// A JavaScript array of typed arrays: the pointers, valid during the call.
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

inline void* pointer(napi_env env, napi_value value) {
  bool typed = false;
  napi_is_typedarray(env, value, &typed);
  if (!typed) return nullptr;  // null or undefined: an absent argument
  void* data = nullptr;
  napi_get_typedarray_info(env, value, nullptr, nullptr, &data, nullptr, nullptr);
  return data;
}

template <class T>
struct Argument;

template <class T>
struct Argument<T*> {
  T* value;
  Argument(napi_env env, napi_value js) : value(static_cast<T*>(pointer(env, js))) {}
  T* get() { return value; }
};
template <>
struct Argument<int64_t> {
  int64_t value = 0;
  Argument(napi_env env, napi_value js) { napi_get_value_int64(env, js, &value); }
  int64_t get() { return value; }
};
template <>
struct Argument<int> {
  int32_t value = 0;
  Argument(napi_env env, napi_value js) { napi_get_value_int32(env, js, &value); }
  int get() { return value; }
};
template <>
struct Argument<double> {
  double value = 0;
  Argument(napi_env env, napi_value js) { napi_get_value_double(env, js, &value); }
  double get() { return value; }
};
template <>
struct Argument<float> {
  double value = 0;
  Argument(napi_env env, napi_value js) { napi_get_value_double(env, js, &value); }
  float get() { return static_cast<float>(value); }
};
template <>
struct Argument<bool> {
  bool value = false;
  Argument(napi_env env, napi_value js) { napi_get_value_bool(env, js, &value); }
  bool get() { return value; }
};
template <>
struct Argument<const Arrays&> {
  Arrays value;
  Argument(napi_env env, napi_value js) {
    uint32_t length = 0;
    napi_get_array_length(env, js, &length);
    if (length > Arrays::kInline) value.data = new void*[length];
    value.count = length;
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    for (uint32_t i = 0; i < length; i++) {
      napi_value element;
      napi_get_element(env, js, i, &element);
      value.data[i] = pointer(env, element);
    }
    napi_close_handle_scope(env, scope);
  }
  const Arrays& get() { return value; }
};

template <class... Args, size_t... I>
void call(void (*function)(Args...), [[maybe_unused]] napi_env env, [[maybe_unused]] napi_value* js, std::index_sequence<I...>) {
  function(Argument<Args>(env, js[I]).get()...);
}
template <class... Args, size_t... I>
double call(double (*function)(Args...), [[maybe_unused]] napi_env env, [[maybe_unused]] napi_value* js, std::index_sequence<I...>) {
  return function(Argument<Args>(env, js[I]).get()...);
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

template <auto function>
napi_value entry(napi_env env, napi_callback_info info) {
  constexpr size_t expected = bind::arity(function);
  size_t count = expected;
  napi_value js[expected == 0 ? 1 : expected];
  napi_get_cb_info(env, info, &count, js, nullptr, nullptr);
  if (count < expected) {
    napi_throw_type_error(env, nullptr, "@unmask/native: a kernel was called with too few arguments");
    return nullptr;
  }
  if constexpr (bind::returns_number(function)) {
    napi_value result;
    napi_create_double(env, bind::call(function, env, js, std::make_index_sequence<expected>{}), &result);
    return result;
  } else {
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
