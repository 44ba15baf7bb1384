// The index 𝐥 = (lx, ly, lz) of angular functions: degrees l ascending, in one degree lx and then ly descending.
#pragma once

#include "kernels.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

inline constexpr int max_angular = n_angular_up_to(max_degree);

// Number of 𝐥 below degree l, which is where degree l begins.
PAIR_CACE_HD constexpr int angular_before(int l)
{
  return n_angular_up_to(l - 1);
}

// Every û^𝐥 is one of lower degree times a component of û.
struct AngularSteps {
  int16_t lower[max_angular] = {};
  int16_t component[max_angular] = {};

  constexpr AngularSteps()
  {
    for (int l = 1, k = 1; l <= max_degree; ++l)
      for (int lx = l; lx >= 0; --lx)
        for (int ly = l - lx; ly >= 0; --ly, ++k) {
          const int lz = l - lx - ly;
          component[k] = lx > 0 ? 0 : ly > 0 ? 1 : 2;
          lower[k] = place(lx - (lx > 0), ly - (lx == 0 && ly > 0), lz - (lx == 0 && ly == 0));
        }
  }

  static constexpr int place(int lx, int ly, int lz)
  {
    const int l = lx + ly + lz, rest = l - lx;
    return angular_before(l) + rest * (rest + 1) / 2 + lz;
  }
};
inline constexpr AngularSteps angular_steps;

struct Powers {
  int x = 0, y = 0, z = 0;
};

// 𝐥 at place k.
constexpr Powers powers(int k)
{
  int at = 0;
  for (int l = 0; l <= max_degree; ++l)
    for (int lx = l; lx >= 0; --lx)
      for (int ly = l - lx; ly >= 0; --ly, ++at)
        if (at == k) return {lx, ly, l - lx - ly};
  return {};
}

// The place of the sum of those at a and b.
constexpr int plus(int a, int b)
{
  const Powers p = powers(a), q = powers(b);
  return AngularSteps::place(p.x + q.x, p.y + q.y, p.z + q.z);
}

// M(𝐥) = l! / (lx! ly! lz!) of the 𝐥 at k.
constexpr int multinomial(int k)
{
  constexpr int factorial[] = {1, 1, 2, 6, 24, 120, 720, 5040, 40320};
  const Powers p = powers(k);
  return factorial[p.x + p.y + p.z] / (factorial[p.x] * factorial[p.y] * factorial[p.z]);
}

// M(𝐥) of all 𝐥, and the places of 𝐥 + e_α.
struct AngularSums {
  int multinomial[max_angular] = {};
  int16_t above[n_angular_up_to(max_degree - 1)][3] = {};

  constexpr AngularSums()
  {
    for (int k = 0; k < max_angular; ++k) multinomial[k] = pair_cace::multinomial(k);
    for (int k = 0; k < n_angular_up_to(max_degree - 1); ++k)
      for (int a = 0; a < 3; ++a) above[k][a] = plus(k, 1 + a);
  }
};
inline constexpr AngularSums angular_sums;

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
