// Formulas of one edge, value beside derivative, for every kind of number, on CPU and GPU.
#pragma once

#include "angular_index.h"

#if defined(PAIR_CACE_CUDA_KERNELS)
#include "../cuda/scalars.h"
#else
#include "simd.h"
#endif

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// f_c(r) = 1 − (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) − p(p+1)/2 x^(p+2) and its derivative, 0 beyond r_c.
template <class T> PAIR_CACE_HD inline void cutoff_function(T r, double cutoff, int p, T &value, T &slope)
{
  using Real = RealOf<T>;
  const T x = r * broadcast(Real(1.0 / cutoff));
  const auto number = [](double c) { return broadcast(Real(c)); };
  const T one = constant<T>(number(1.0));
  const T below = power(x, p - 1);
  const T polynomial =
      number(0.5 * (p + 1) * (p + 2)) * one - (number(p * (p + 2.0)) * x - number(0.5 * p * (p + 1)) * x * x);
  const T slope_here = number(-0.5 * p * (p + 1) * (p + 2) / cutoff) * (below * (one - x) * (one - x));
  value = where_below(r, Real(cutoff), one - below * x * polynomial);
  slope = where_below(r, Real(cutoff), slope_here);
}

// What the formulas of an edge r⃗ share; û = r⃗ / (r + 1e-9 Å).
template <class T> struct EdgeGeometry {
  T length, inverse_length, inverse_shifted, direction[3], fc, fc_slope;

  PAIR_CACE_HD void set(const T (&r)[3], T length_of_r, double cutoff, int exponent)
  {
    length = length_of_r;
    inverse_length = inverse(length);
    inverse_shifted = inverse(length + constant<T>(broadcast(RealOf<T>(1e-9))));
    for (int k = 0; k < 3; ++k) direction[k] = r[k] * inverse_shifted;
    cutoff_function(length, cutoff, exponent, fc, fc_slope);
  }
};

// From the gradients with respect to r and û to that with respect to r⃗.
template <class T>
PAIR_CACE_HD inline void vector_gradient(const EdgeGeometry<T> &edge, const T (&r)[3], T grad_length,
                                         const T (&grad_direction)[3], T (&grad)[3])
{
  T along = zero<T>();
  for (int k = 0; k < 3; ++k) along += grad_direction[k] * edge.direction[k];
  const T by_length = (grad_length - along * edge.inverse_shifted) * edge.inverse_length;
  for (int k = 0; k < 3; ++k) grad[k] = by_length * r[k] + grad_direction[k] * edge.inverse_shifted;
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
