// Geometries as they come from JavaScript, and ranges of places.
#pragma once
#include <cstdint>
#include <cstring>

namespace unmask::UNMASK_ISA {

// The fields of a G, one after the other
template <class G>
G read_geometry(const int32_t* fields) {
  G geometry;
  memcpy(&geometry, fields, sizeof geometry);
  return geometry;
}

struct Range {
  int64_t begin, end;
};

}  // namespace unmask::UNMASK_ISA
