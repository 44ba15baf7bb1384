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

// d/dr of R_n f_c, R_n = prefactor · sin(ω r)/r; scale = prefactor / r.
template <class T>
PAIR_CACE_HD inline T radial_slope(T frequency, T sine, T cosine, T inverse_length, T scale, T fc, T fc_slope)
{
  return (frequency * cosine - sine * inverse_length) * scale * fc + sine * scale * fc_slope;
}

// From the gradients by r and û = r⃗ / (r + 1e-9) to that by r⃗. inverse_shifted = 1 / (r + 1e-9)
template <class T>
PAIR_CACE_HD inline void vector_gradient(T grad_length, const T (&grad_direction)[3], const T (&direction)[3],
                                         T inverse_shifted, T inverse_length, const T (&r)[3], T (&grad)[3])
{
  T along = zero<T>();
  for (int k = 0; k < 3; ++k) along += grad_direction[k] * direction[k];
  const T by_length = (grad_length - along * inverse_shifted) * inverse_length;
  for (int k = 0; k < 3; ++k) grad[k] = by_length * r[k] + grad_direction[k] * inverse_shifted;
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
