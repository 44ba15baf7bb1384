// The radial functions of an edge with their derivatives, once for CPU and GPU, in values and duals. A further kind is a
// case of radial_distance, or of radial_function.
#pragma once

#include "formulas.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// What the sines take for the distance, s(r).
template <class T> struct RadialDistance {
  T value, slope, over_length;    // s, ds/dr, s/r
};

// r itself; or s = r_c (1 − exp(−r/ρ)) / (1 − exp(−r_c/ρ)), which resolves short distances finer than long ones.
template <class T>
PAIR_CACE_HD inline RadialDistance<T> radial_distance(const Basis &basis, const EdgeGeometry<T> &edge)
{
  using Real = RealOf<T>;
  const T one = constant<T>(broadcast(Real(1)));
  switch (basis.radial) {
  case RadialKind::bessel: return {edge.length, one, one};
  case RadialKind::stretched_bessel: {
    const T decay = exponential(edge.length * broadcast(Real(-1.0 / basis.length)));
    const T value = (one - decay) * broadcast(Real(basis.stretch));
    return {value, decay * broadcast(Real(basis.stretch / basis.length)), value * edge.inverse_length};
  }
  }
  __builtin_unreachable();    // see set_radial in torch_glue.h
}

// R_n f_c, and its derivatives with respect to r and to the parameter of n.
template <class T> struct RadialFunction {
  T value, slope, by_parameter;
};

// R_n = prefactor · sin(ω_n s)/r, the parameters are the frequencies (with s = r: Gasteiger et al., ICLR 2020, Eq. 7).
template <bool with_slopes, class T>
PAIR_CACE_HD inline RadialFunction<T> radial_function(const Basis &basis, T frequency,
                                                      const RadialDistance<T> &distance, const EdgeGeometry<T> &edge)
{
  using Real = RealOf<T>;
  const T scale = edge.inverse_length * broadcast(Real(basis.prefactor)), angle = frequency * distance.value;
  RadialFunction<T> found;
  if constexpr (with_slopes) {
    T sine_here, cosine;
    sine_cosine(angle, sine_here, cosine);
    found.value = sine_here * (scale * edge.fc);
    found.slope = (frequency * distance.slope * cosine - sine_here * edge.inverse_length) * scale * edge.fc +
                  sine_here * scale * edge.fc_slope;
    found.by_parameter = cosine * distance.over_length * edge.fc * broadcast(Real(basis.prefactor));
  } else {
    found.value = sine(angle) * (scale * edge.fc);
  }
  return found;
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
