// Which instruction set this machine has.
#include "kernels.h"

#include <cstdlib>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#define PAIR_CACE_FOR_ALL_INSTRUCTIONS(what) what(avx512) what(avx2) what(baseline)
#else
#define PAIR_CACE_FOR_ALL_INSTRUCTIONS(what) what(baseline)
#endif

namespace pair_cace {

#define PAIR_CACE_DECLARE(name)                                                                                        \
  inline namespace name {                                                                                              \
  extern const Kernels<float> kernels_float;                                                                           \
  extern const Kernels<double> kernels_double;                                                                         \
  }
// The namespaces are inline where they are compiled, so that names mangle alike; here they are
// written out.
PAIR_CACE_FOR_ALL_INSTRUCTIONS(PAIR_CACE_DECLARE)

namespace {

bool runs(const char *instructions)
{
#if defined(__x86_64__)
  if (std::strcmp(instructions, "avx512") == 0)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (std::strcmp(instructions, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return std::strcmp(instructions, "baseline") == 0;
}

template <class Real> const Kernels<Real> *added = nullptr;

template <class Real> const Kernels<Real> &best()
{
  const char *wish = std::getenv("PAIR_CACE_INSTRUCTIONS");
  if (wish && added<Real> && std::strcmp(wish, added<Real>->instructions) == 0) return *added<Real>;
  const auto suits = [&](const char *name) { return runs(name) && (!wish || std::strcmp(wish, name) == 0); };
#define PAIR_CACE_RETURN_IF_SUITS(name)                                                                                \
  if (suits(#name)) {                                                                                                  \
    if constexpr (std::is_same_v<Real, float>)                                                                         \
      return name::kernels_float;                                                                                      \
    else                                                                                                               \
      return name::kernels_double;                                                                                     \
  }
  PAIR_CACE_FOR_ALL_INSTRUCTIONS(PAIR_CACE_RETURN_IF_SUITS)
  if constexpr (std::is_same_v<Real, float>)
    return baseline::kernels_float;
  else
    return baseline::kernels_double;
}

}    // namespace

void add_kernels(const Kernels<float> &table)
{
  added<float> = &table;
}

void add_kernels(const Kernels<double> &table)
{
  added<double> = &table;
}

int number_of_invariants(int l_max, int nu_max)
{
  int n = 1;                      // ν = 1
  if (nu_max >= 2) n += l_max;    // l
  for (int l1 = 1; l1 <= l_max; ++l1)
    for (int l2 = l1; l2 <= l_max; ++l2) {
      if (nu_max >= 3 && l1 + l2 <= l_max) ++n;       // (l1, l2)
      if (nu_max >= 4 && l2 > l1) n += l_max - l2;    // (l1, l2, d)
    }
  return n;
}

template <class Real> const Kernels<Real> &kernels()
{
  static const Kernels<Real> &chosen = best<Real>();
  return chosen;
}

template const Kernels<float> &kernels<float>();
template const Kernels<double> &kernels<double>();

}    // namespace pair_cace
