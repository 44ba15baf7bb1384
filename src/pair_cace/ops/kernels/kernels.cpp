// Which instruction set this machine has.
#include "free_kernels.h"

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
  extern const FreeKernels<float> free_kernels_float;                                                                  \
  extern const FreeKernels<double> free_kernels_double;                                                                \
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

template <class Real, class InFloat, class InDouble>
const auto *in_precision([[maybe_unused]] const InFloat &in_float, [[maybe_unused]] const InDouble &in_double)
{
  if constexpr (std::is_same_v<Real, float>)
    return &in_float;
  else
    return &in_double;
}

// What `table` returns for the best instruction set, or the one that is asked for.
template <class Table> auto of_best_instructions(const Table &table)
{
  const char *wish = std::getenv("PAIR_CACE_INSTRUCTIONS");
  const auto suits = [&](const char *name) { return runs(name) && (!wish || std::strcmp(wish, name) == 0); };
#define PAIR_CACE_RETURN_IF_SUITS(name)                                                                                \
  if (suits(#name))                                                                                                    \
    return table(name::kernels_float, name::kernels_double, name::free_kernels_float, name::free_kernels_double);
  PAIR_CACE_FOR_ALL_INSTRUCTIONS(PAIR_CACE_RETURN_IF_SUITS)
  return table(baseline::kernels_float, baseline::kernels_double, baseline::free_kernels_float,
               baseline::free_kernels_double);
}

template <class Real> const Kernels<Real> &best()
{
  const char *wish = std::getenv("PAIR_CACE_INSTRUCTIONS");
  if (wish && added<Real> && std::strcmp(wish, added<Real>->instructions) == 0) return *added<Real>;
  return *of_best_instructions([](const auto &in_float, const auto &in_double, const auto &, const auto &) {
    return in_precision<Real>(in_float, in_double);
  });
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

template <class Real> const FreeKernels<Real> &free_kernels()
{
  static const FreeKernels<Real> *chosen =
      of_best_instructions([](const auto &, const auto &, const auto &in_float, const auto &in_double) {
        return in_precision<Real>(in_float, in_double);
      });
  return *chosen;
}

template const FreeKernels<float> &free_kernels<float>();
template const FreeKernels<double> &free_kernels<double>();
template const Kernels<float> &kernels<float>();
template const Kernels<double> &kernels<double>();

}    // namespace pair_cace
