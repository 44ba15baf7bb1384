// Edges shorter than any between the same two elements in the data that a model was trained on, and how densely atoms
// stand around one. Shared by CPU and CUDA.
#pragma once

#include "../kernels/host_device.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace pair_cace {

// Edges of one pair of elements, receiver first.
struct Contact {
  int64_t count = 0;
  int64_t shortest = std::numeric_limits<int64_t>::max();    // the bits of r² in Å²: positive numbers have their order

  PAIR_CACE_HD static int64_t bits(double r_squared)
  {
    int64_t result;
    std::memcpy(&result, &r_squared, sizeof result);
    return result;
  }

  double shortest_squared() const
  {
    double result;
    std::memcpy(&result, &shortest, sizeof result);
    return result;
  }
};

// Below which length an edge is one. Elements are numbered from 0 to K − 1; atomic numbers that are not among them have
// the number K, and no contacts.
struct ContactLimits {
  std::vector<int64_t> kinds;             // (atomic numbers,)
  std::vector<double> limit_squared;      // (K + 1, K + 1) Å²
  std::vector<double> largest_squared;    // (K + 1,) of a row of limit_squared

  int64_t n_kinds() const { return static_cast<int64_t>(largest_squared.size()); }
};

// The same where the work is done.
struct ContactWatch {
  const int64_t *species = nullptr;    // (rows,)
  const int64_t *kinds = nullptr;
  const double *limit_squared = nullptr, *largest_squared = nullptr;
  int64_t n_kinds = 0;            // K + 1; 0: nobody watches
  Contact *contacts = nullptr;    // (K + 1, K + 1) added to

  PAIR_CACE_HD int64_t kind(int64_t row) const { return kinds[species[row]]; }

  // No longer edge of this receiver is a contact.
  PAIR_CACE_HD double bound_squared(int64_t receiver) const
  {
    return n_kinds > 0 ? largest_squared[kind(receiver)] : 0.0;
  }

  // `Atomic` has add(address, value) and lower(address, value): several threads come here.
  template <class Atomic>
  PAIR_CACE_HD void note(int64_t receiver, int64_t sender, double r_squared, const Atomic &atomic) const
  {
    const int64_t pair = kind(receiver) * n_kinds + kind(sender);
    if (r_squared >= limit_squared[pair]) return;
    atomic.add(&contacts[pair].count, 1);
    atomic.lower(&contacts[pair].shortest, Contact::bits(r_squared));
  }
};

struct HostAtomic {
  void add(int64_t *to, int64_t value) const
  {
    std::atomic_ref<int64_t>(*to).fetch_add(value, std::memory_order_relaxed);
  }

  void lower(int64_t *to, int64_t value) const
  {
    std::atomic_ref<int64_t> there(*to);
    int64_t before = there.load(std::memory_order_relaxed);
    while (value < before && !there.compare_exchange_weak(before, value, std::memory_order_relaxed)) {}
  }
};

// The density around an atom, atoms/Å³: ρ_i = (1 + Σ_j w(r_ij)) / ∫ w d³r with w = (1 − r²/r_c²)², which in uniform
// matter is the number of atoms per volume. Smooth, so that no shell of neighbours makes it jump.
PAIR_CACE_HD inline double density_weight(double r_squared, double cutoff_squared)
{
  const double w = r_squared < cutoff_squared ? 1.0 - r_squared / cutoff_squared : 0.0;
  return w * w;
}

PAIR_CACE_HD inline double density_of(double sum_of_weights, double cutoff)
{
  return (1.0 + sum_of_weights) / (4.0 * 3.14159265358979323846 * 8.0 / 105.0 * cutoff * cutoff * cutoff);
}

}    // namespace pair_cace
