// The numbers that formulas are written for, T: a value (a vector of them on a CPU, a single one on a GPU), or
// Dual: the value and its derivative along one direction; what a kernel adds to its results is then
// that derivative (`result_of`).
//
// Second derivatives for force matching follow from first ones in this way: the gradient of
// <u, f_backward(y, x)> is the derivative of (f, f_backward) along the direction u.
//
// Included by whatever defines LaneOf, broadcast, root, inverse, exponential and sine_cosine for values: simd.h
// and ../cuda/scalars.h. These must come first: values are no classes, so that their functions are not looked for
// again where a template is used.
#pragma once

#include "host_device.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class V> struct Dual {
  V a;    // value
  V d;    // derivative along the direction
};

template <class T> struct NumberTraits {
  static constexpr bool is_dual = false;
  using Vector = T;
};
template <class V> struct NumberTraits<Dual<V>> {
  static constexpr bool is_dual = true;
  using Vector = V;
};
template <class T> inline constexpr bool is_dual = NumberTraits<T>::is_dual;
template <class T> using VectorOf = typename NumberTraits<T>::Vector;
template <class T> using RealOf = LaneOf<VectorOf<T>>;

template <class V> PAIR_CACE_HD inline Dual<V> operator+(Dual<V> x, Dual<V> y)
{
  return {x.a + y.a, x.d + y.d};
}
template <class V> PAIR_CACE_HD inline Dual<V> operator-(Dual<V> x, Dual<V> y)
{
  return {x.a - y.a, x.d - y.d};
}
template <class V> PAIR_CACE_HD inline Dual<V> operator-(Dual<V> x)
{
  return {-x.a, -x.d};
}
template <class V> PAIR_CACE_HD inline Dual<V> operator*(Dual<V> x, Dual<V> y)
{
  return {x.a * y.a, x.a * y.d + x.d * y.a};
}
template <class V> PAIR_CACE_HD inline Dual<V> operator*(V x, Dual<V> y)
{
  return {x * y.a, x * y.d};
}
template <class V> PAIR_CACE_HD inline Dual<V> operator*(Dual<V> x, V y)
{
  return {x.a * y, x.d * y};
}
template <class V> PAIR_CACE_HD inline Dual<V> &operator+=(Dual<V> &x, Dual<V> y)
{
  return x = x + y;
}

// What a kernel stores: the value, or in the dual case the derivative.
template <class V> PAIR_CACE_HD inline V result_of(V x)
{
  return x;
}
template <class V> PAIR_CACE_HD inline V result_of(Dual<V> x)
{
  return x.d;
}

template <class V> PAIR_CACE_HD inline V value_of(V x)
{
  return x;
}
template <class V> PAIR_CACE_HD inline V value_of(Dual<V> x)
{
  return x.a;
}

template <class T> PAIR_CACE_HD inline T constant(VectorOf<T> v)
{
  if constexpr (is_dual<T>)
    return {v, VectorOf<T>{}};
  else
    return v;
}

template <class T> PAIR_CACE_HD inline T zero()
{
  return constant<T>(VectorOf<T>{});
}

// ---- functions -----------------------------------------------------------------------------------

template <class V> PAIR_CACE_HD inline Dual<V> root(Dual<V> x)
{
  const V value = root(x.a);
  return {value, x.d / (value + value)};
}

template <class V> PAIR_CACE_HD inline Dual<V> inverse(Dual<V> x)
{
  const V value = inverse(x.a);
  return {value, -x.d * value * value};
}

template <class V> PAIR_CACE_HD inline Dual<V> exponential(Dual<V> x)
{
  const V value = exponential(x.a);
  return {value, value * x.d};
}

template <class V> PAIR_CACE_HD inline void sine_cosine(Dual<V> x, Dual<V> &sine, Dual<V> &cosine)
{
  V s, c;
  sine_cosine(x.a, s, c);
  sine = {s, c * x.d};
  cosine = {c, -s * x.d};
}

template <class V> PAIR_CACE_HD inline Dual<V> sine(Dual<V> x)
{
  Dual<V> s, c;
  sine_cosine(x, s, c);
  return s;
}

// `then` where x < limit, 0 elsewhere.
template <class T> PAIR_CACE_HD inline T where_below(T x, RealOf<T> limit, T then)
{
  using V = VectorOf<T>;
  if constexpr (is_dual<T>)
    return {x.a < limit ? then.a : V{}, x.a < limit ? then.d : V{}};
  else
    return x < limit ? then : V{};
}

template <class T> PAIR_CACE_HD inline T power(T x, int n)
{
  T result = constant<T>(broadcast(RealOf<T>(1)));
  for (; n > 0; n >>= 1, x = x * x)
    if (n & 1) result = result * x;
  return result;
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
