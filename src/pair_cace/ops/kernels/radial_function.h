// The radial functions of an edge with their derivatives, once for CPU and GPU, in values and duals. A further kind is a
// case of radial_function.
#pragma once

#include "formulas.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// R_n f_c, and its derivatives with respect to r and to the parameter of n.
template <class T> struct RadialFunction {
  T value, slope, by_parameter;
};

// R_n = prefactor · sin(ω_n r)/r, the parameters are the frequencies (Gasteiger et al., ICLR 2020, Eq. 7).
template <bool with_slopes, class T>
PAIR_CACE_HD inline RadialFunction<T> bessel(double prefactor, T frequency, const EdgeGeometry<T> &edge)
{
  using Real = RealOf<T>;
  const T scale = edge.inverse_length * broadcast(Real(prefactor)), angle = frequency * edge.length;
  RadialFunction<T> found;
  if constexpr (with_slopes) {
    T sine_here, cosine;
    sine_cosine(angle, sine_here, cosine);
    found.value = sine_here * (scale * edge.fc);
    found.slope =
        (frequency * cosine - sine_here * edge.inverse_length) * scale * edge.fc + sine_here * scale * edge.fc_slope;
    found.by_parameter = cosine * edge.fc * broadcast(Real(prefactor));
  } else {
    found.value = sine(angle) * (scale * edge.fc);
  }
  return found;
}

template <bool with_slopes, class T>
PAIR_CACE_HD inline RadialFunction<T> radial_function(const Basis &basis, T parameter, const EdgeGeometry<T> &edge)
{
  switch (basis.radial) {
  case RadialKind::bessel: return bessel<with_slopes>(basis.prefactor, parameter, edge);
  }
  __builtin_unreachable();    // see radial_kind in torch_glue.h
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
