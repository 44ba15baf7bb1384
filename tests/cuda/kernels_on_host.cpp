// The CUDA kernels as kernels for a CPU, "cuda_on_host", for tests: load this library and set
// PAIR_CACE_INSTRUCTIONS=cuda_on_host before the first operation runs.
#define PAIR_CACE_CUDA_KERNELS
#define PAIR_CACE_INSTRUCTIONS cuda_on_host

#include "../../src/pair_cace/ops/cuda/kernel_table.h"
#include "../../src/pair_cace/ops/cuda/neighbors.h"
#include "../../src/pair_cace/ops/neighbors/cpu.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace {

using namespace pair_cace;

// `evaluate` has no kernels for single layers there; it is tested as it is composed on a GPU.
const Kernels<float> for_float = table_of<float>("cuda_on_host");
const Kernels<double> for_double = table_of<double>("cuda_on_host");
const bool added = (add_kernels(for_float), add_kernels(for_double), true);

// ---- neighbours: from random points to forces, with the kernels for a CPU or those for CUDA -------------------------

template <class Real> struct Found {
  std::vector<int64_t> first, first_edge, senders, receivers;
  std::vector<int32_t> neighbors;
  std::vector<Real> vectors;
  std::vector<double> forces, virial, densities;
  std::vector<int64_t> contacts;    // count and shortest of every pair of kinds
  int64_t same_place = -1;

  bool operator==(const Found &) const = default;
};

std::vector<int64_t> first_of(const std::vector<int64_t> &count)
{
  std::vector<int64_t> first(count.size() + 1, 0);
  std::partial_sum(count.begin(), count.end(), first.begin() + 1);
  return first;
}

// From the definition.
std::vector<int64_t> contacts_of_all_pairs(const std::vector<double> &positions, const std::vector<int64_t> &species,
                                           const std::vector<int64_t> &sender_of_point,
                                           const std::vector<int64_t> &kinds, const std::vector<double> &limits,
                                           int64_t n)
{
  std::vector<int64_t> contacts;
  for (std::size_t pair = 0; pair < limits.size(); ++pair) contacts.insert(contacts.end(), {0, Contact().shortest});
  for (int64_t i = 0; i < n; ++i)
    for (std::size_t j = 0; 3 * j < positions.size(); ++j) {
      if (sender_of_point[j] < 0 || i == static_cast<int64_t>(j)) continue;
      const double *x = &positions[3 * i], *y = &positions[3 * j];
      const double r[3] = {x[0] - y[0], x[1] - y[1], x[2] - y[2]};
      const double r_squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
      const int64_t pair = 3 * kinds[species[i]] + kinds[species[sender_of_point[j]]];
      if (r_squared >= limits[pair]) continue;
      ++contacts[2 * pair];
      contacts[2 * pair + 1] = std::min(contacts[2 * pair + 1], Contact::bits(r_squared));
    }
  return contacts;
}

template <class Real>
Found<Real> find(const NeighborKernels<Real> &kernels, const std::vector<double> &positions, int64_t n, double size,
                 int64_t missing)
{
  const double cutoff = 1.0, low[3] = {0.0, 0.0, 0.0}, high[3] = {size, size, size};
  const int64_t n_points = positions.size() / 3;
  Found<Real> found;
  NeighborSearch search;
  search.positions = positions.data();
  search.reach = 1.3 * cutoff;
  search.grid = cell_grid(low, high, search.reach, 1000);
  std::vector<int64_t> cell(n_points), points(n_points), start(search.grid.size() + 1, 0), count(n);
  for (int64_t i = 0; i < n_points; ++i) {
    const double *x = &positions[3 * i];
    cell[i] = search.grid.number(search.grid.place(x[0], 0), search.grid.place(x[1], 1), search.grid.place(x[2], 2));
    ++start[cell[i] + 1];
  }
  std::iota(points.begin(), points.end(), 0);
  std::stable_sort(points.begin(), points.end(), [&](int64_t a, int64_t b) { return cell[a] < cell[b]; });
  std::partial_sum(start.begin(), start.end(), start.begin());
  search.start = start.data();
  search.points = points.data();
  search.count = count.data();
  kernels.search(search, 0, n);
  found.first = first_of(count);
  found.neighbors.resize(found.first.back());
  search.count = nullptr;
  search.first = found.first.data();
  search.neighbors = found.neighbors.data();
  kernels.search(search, 0, n);

  std::vector<int64_t> sender_of_point(n_points);
  for (int64_t i = 0; i < n_points; ++i) sender_of_point[i] = i % 11 == 10 ? -1 : i % n;
  EdgeSelection<Real> select;
  select.positions = positions.data();
  select.first = found.first.data();
  select.neighbors = found.neighbors.data();
  select.cutoff = cutoff;
  select.sender_of_point = sender_of_point.data();
  select.count = count.data();
  kernels.select(select, 0, n);
  found.first_edge = first_of(count);
  select.count = nullptr;
  select.capacity = found.first_edge.back() - missing;    // negative: places to spare
  for (int64_t &first : found.first_edge) first = std::min(first, select.capacity);
  found.senders.resize(select.capacity);
  found.receivers.resize(select.capacity);
  found.vectors.resize(3 * select.capacity);
  select.first_edge = found.first_edge.data();
  select.senders = found.senders.data();
  select.receivers = found.receivers.data();
  select.vectors = found.vectors.data();
  select.same_place = &found.same_place;
  // Three elements in turn, of which the last has no contacts.
  std::vector<int64_t> species(n);
  for (int64_t i = 0; i < n; ++i) species[i] = 1 + i % 3;
  const std::vector<int64_t> kinds{2, 0, 1, 2};
  const std::vector<double> limits{0.09, 0.16, 0.0, 0.16, 0.04, 0.0, 0.0, 0.0, 0.0}, largest{0.16, 0.16, 0.0};
  std::vector<Contact> contacts(limits.size());
  select.watch = {species.data(), kinds.data(), limits.data(), largest.data(), 3, contacts.data()};
  found.densities.resize(n);
  select.densities = found.densities.data();
  kernels.select(select, 0, n);
  for (const Contact &contact : contacts)
    found.contacts.insert(found.contacts.end(), {contact.count, contact.shortest});
  if (found.contacts != contacts_of_all_pairs(positions, species, sender_of_point, kinds, limits, n))
    found.contacts.clear();    // the test fails
  kernels.pad({select, n, n}, 0, select.capacity);

  found.forces.assign(3 * n, 0.0);
  found.virial.assign(9, 0.0);
  std::vector<Real> gradient(found.vectors.size());
  for (std::size_t k = 0; k < gradient.size(); ++k) gradient[k] = std::sin(Real(k));
  ForceSum<Real> sum{found.first_edge.data(), found.senders.data(), found.vectors.data(),
                     gradient.data(),         found.forces.data(),  found.virial.data()};
  kernels.forces(sum, 0, n);
  return found;
}

double largest_difference(const std::vector<double> &a, const std::vector<double> &b)
{
  double largest = 0.0;
  for (std::size_t k = 0; k < a.size(); ++k) largest = std::max(largest, std::abs(a[k] - b[k]));
  return largest;
}

template <class Real> bool neighbors_agree(int seed)
{
  std::mt19937 random(seed);
  const double size = 5.0;
  std::vector<double> positions(3 * (300 + 7 * seed));
  for (double &x : positions) x = std::uniform_real_distribution<double>(0.0, size)(random);
  if (seed % 2) std::copy_n(positions.begin() + 30, 3, positions.begin() + 60);    // two at one place
  const int64_t n = 200 + seed, missing = seed % 3 == 2 ? 40 : -100;
  Found<Real> expected = find(cpu_neighbor_kernels<Real>(), positions, n, size, missing);
  Found<Real> found = find(neighbor_table<Real>(), positions, n, size, missing);
  const bool close = largest_difference(found.forces, expected.forces) < 1e-11 &&
                     largest_difference(found.virial, expected.virial) < 1e-10 && expected.contacts.size() == 18 &&
                     expected.contacts[0] > 0;
  found.forces = expected.forces;    // their order of summation differs
  found.virial = expected.virial;
  return close && found == expected && (expected.same_place >= 0) == (seed % 2 == 1);
}

}    // namespace

extern "C" [[gnu::visibility("default")]] int failed_neighbor_tests()
{
  int n_failed = 0;
  for (int seed = 0; seed < 12; ++seed) n_failed += !neighbors_agree<float>(seed) + !neighbors_agree<double>(seed);
  return n_failed;
}
