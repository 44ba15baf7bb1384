// The numbers of CUDA kernels, one per thread: what numbers.h asks for.
#pragma once

#include "../kernels/host_device.h"

#include <cmath>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class V> using LaneOf = V;

template <class Real> PAIR_CACE_HD inline Real broadcast(Real value)
{
  return value;
}

PAIR_CACE_HD inline float root(float x)
{
  return sqrtf(x);
}
PAIR_CACE_HD inline double root(double x)
{
  return sqrt(x);
}
PAIR_CACE_HD inline float inverse(float x)
{
  return 1.0f / x;
}
PAIR_CACE_HD inline double inverse(double x)
{
  return 1.0 / x;
}
PAIR_CACE_HD inline float exponential(float x)
{
  return expf(x);
}
PAIR_CACE_HD inline double exponential(double x)
{
  return exp(x);
}
PAIR_CACE_HD inline void sine_cosine(float x, float &sine, float &cosine)
{
  sincosf(x, &sine, &cosine);
}
PAIR_CACE_HD inline void sine_cosine(double x, double &sine, double &cosine)
{
  sincos(x, &sine, &cosine);
}
template <class Real> PAIR_CACE_HD inline Real sine(Real x)
{
  Real found, cosine;
  sine_cosine(x, found, cosine);
  return found;
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace

#include "../kernels/numbers.h"    // needs the functions above
