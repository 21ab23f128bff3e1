// Mean feature maps of several networks at once, for the closed form of expected synflow (docs/expected.md).
//
// At mean weights all channels of a feature map are equal, so one small map stands for a vertex, and with an input of
// ones it is symmetric under transposition: the upper triangle is kept. A map is a pair (value, tangent), the tangent
// the derivative along the weights. Every network has its own lane and no operation mixes lanes or rounds differently
// beside other neighbours: a network's score does not depend on the batch that it is scored in.
//
// The far edge of a map is either that of the image (zeros beyond) or its middle (the map goes on as a mirror image, so
// one quadrant stands for the whole). All maps grow from the border to the middle, which turns max-pools into shifts.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <new>

#include "simd.h"

namespace zcfast {

template <class T>
struct Map {
  Vector<T>* value;
  Vector<T>* tangent;
};

// The upper triangle of a size x size map, row by row.
struct Triangle {
  int size;
  ZCFAST_INLINE int count() const { return size * (size + 1) / 2; }
  // Element (row, column), row <= column, is at row_start(row) + column.
  ZCFAST_INLINE int row_start(int row) const { return row * size - row * (row + 1) / 2; }
  ZCFAST_INLINE int at(int row, int column) const {
    return row <= column ? row_start(row) + column : row_start(column) + row;
  }
};

// 3 x 3 sums of one row of a map from left to right, each column's vertical sum computed once.
template <class T, bool kMirror>
class BoxRow {
 public:
  ZCFAST_INLINE BoxRow(const Vector<T>* map, Triangle shape, int row) : shape_(shape), row_(row) {
    here_ = map + shape.row_start(row);
    above_ = row > 0 ? map + shape.row_start(row - 1) : nullptr;
    below_ = row + 1 < shape.size ? map + shape.row_start(row + 1) : nullptr;
    before_ = Vector<T>{};
    if (row > 0) {  // the column left of the diagonal, read across the diagonal
      before_ = above_[row - 1] + above_[row];
      if (below_)
        before_ += above_[row + 1];
      else if (kMirror)
        before_ += above_[row];
    }
    centre_ = vertical(row);
  }

  // The 3 x 3 sum at `column`; columns are visited in order from `row`.
  ZCFAST_INLINE Vector<T> next(int column) {
    const bool inside = column + 1 < shape_.size;
    const Vector<T> after = inside ? vertical(column + 1) : kMirror ? centre_ : Vector<T>{};
    const Vector<T> sum = before_ + centre_ + after;
    before_ = centre_;
    centre_ = after;
    return sum;
  }

 private:
  ZCFAST_INLINE Vector<T> vertical(int column) const {
    Vector<T> sum = here_[column];
    if (above_) sum = above_[column] + sum;
    if (column == row_) {  // below the diagonal: the mirror image of the element on its right
      if (below_)
        sum += here_[column + 1];
      else if (kMirror)
        sum += here_[column];
    } else {
      sum += below_[column];
    }
    return sum;
  }

  Triangle shape_;
  int row_;
  const Vector<T>*here_, *above_, *below_;
  Vector<T> before_, centre_;
};

// Multiplies every lane by a power of two, so that its last value is in [1, 2), and counts the exponents: exact.
template <class T>
ZCFAST_INLINE void renormalise(Map<T> map, int count, int64_t* exponents) {
  Vector<T> scale;
  for (int lane = 0; lane < kLanes<T>; ++lane) {
    const double last = map.value[count - 1][lane];
    const int64_t exponent = last > 0 ? int64_t(std::bit_cast<uint64_t>(last) >> 52) - 1023 : 0;
    scale[lane] = T(std::bit_cast<double>(uint64_t(1023 - exponent) << 52));
    exponents[lane] += exponent;
  }
  for (int i = 0; i < count; ++i) {
    map.value[i] *= scale;
    map.tangent[i] *= scale;
  }
}

// The map of a 3 x 3 convolution of an input of ones, which is a layer; `ones` is scratch.
template <class T>
ZCFAST_INLINE void convolve_ones(T gain, Map<T> map, Map<T> ones, Triangle shape) {
  for (int i = 0; i < shape.count(); ++i) ones.value[i] = Vector<T>{} + T(1);
  for (int row = 0; row < shape.size; ++row) {
    BoxRow<T, true> sums(ones.value, shape, row);
    for (int column = row; column < shape.size; ++column)
      map.value[shape.row_start(row) + column] = map.tangent[shape.row_start(row) + column] = gain * sums.next(column);
  }
}

// ln of the tangent behind a global average and a classifier, which is a layer: `gain` times the mean of the map, whose
// lanes were scaled by 2^-exponents.
template <class T>
ZCFAST_INLINE void log_scores_of(double gain, Map<T> map, Triangle shape, const int64_t* exponents,
                                 double* log_scores) {
  Vector<T> value = {}, tangent = {};
  for (int row = 0; row < shape.size; ++row) {
    for (int column = row; column < shape.size; ++column) {
      const T twins = row == column ? 1 : 2;
      value += twins * map.value[shape.row_start(row) + column];
      tangent += twins * map.tangent[shape.row_start(row) + column];
    }
  }
  gain /= double(shape.size) * shape.size;
  for (int lane = 0; lane < kLanes<T>; ++lane)
    log_scores[lane] = std::log(gain * (double(value[lane]) + double(tangent[lane]))) + double(exponents[lane]) * M_LN2;
}

// Maps of one group of networks, all of the same largest size.
template <class T>
class Workspace {
 public:
  Workspace(int maps, int size)
      : stride_(Triangle{size}.count()),
        memory_(static_cast<Vector<T>*>(::operator new(size_t(2) * maps * stride_ * sizeof(Vector<T>), kAlignment))) {}
  ~Workspace() { ::operator delete(memory_, kAlignment); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  Map<T> operator[](int map) const {
    Vector<T>* start = memory_ + int64_t(2) * map * stride_;
    return {start, start + stride_};
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  int64_t stride_;
  Vector<T>* memory_;
};

}  // namespace zcfast
