// What is done for one receiver: finding the points around it, writing its edges, and summing up the forces of
// its edges. Shared by CPU and CUDA. Signs as in ../edge_forces.h. Differences of positions are taken in double precision.
#pragma once

#include "cell_grid.h"
#include "contacts.h"

#include <cstdint>

namespace pair_cace {

// Closer points are the same one; images of one place differ by rounding.
inline constexpr double same_place_squared = 1e-12;    // Å²

// In one number, which threads that find several write whole.
struct PointPair {
  int64_t receiver = -1, point = -1;

  PAIR_CACE_HD int64_t packed() const { return (receiver << 32) | point; }
  static PointPair unpacked(int64_t number) { return {number >> 32, number & 0xffffffff}; }
};

// Points closer to a receiver than `reach`. The first points are the receivers; those behind only send.
struct NeighborSearch {
  const double *positions = nullptr;    // (points, 3) Å
  CellGrid grid;
  const int64_t *start = nullptr;     // (cells + 1,) of the points of a cell in `points`
  const int64_t *points = nullptr;    // (points,) in order of their cells
  double reach = 0.0;                 // Å

  // Results: either the numbers, or, where those added up are known, the neighbours.
  int64_t *count = nullptr;          // (receivers,)
  const int64_t *first = nullptr;    // (receivers + 1,)
  int32_t *neighbors = nullptr;      // (first[receivers],)
};

template <class Visit> PAIR_CACE_HD void visit_neighbors(const NeighborSearch &task, int64_t i, const Visit &visit)
{
  const CellGrid &grid = task.grid;
  const double *x = task.positions + 3 * i;
  int low[3], high[3];
  for (int axis = 0; axis < 3; ++axis) {
    const int cell = grid.place(x[axis], axis);
    low[axis] = cell > 0 ? cell - 1 : 0;
    high[axis] = cell + 1 < grid.n[axis] ? cell + 1 : cell;
  }
  const double reach_squared = task.reach * task.reach;
  for (int cz = low[2]; cz <= high[2]; ++cz)
    for (int cy = low[1]; cy <= high[1]; ++cy) {
      const int64_t end = task.start[grid.number(high[0], cy, cz) + 1];
      for (int64_t k = task.start[grid.number(low[0], cy, cz)]; k < end; ++k) {
        const int64_t j = task.points[k];
        const double *y = task.positions + 3 * j;
        const double r[3] = {x[0] - y[0], x[1] - y[1], x[2] - y[2]};
        if (j != i && r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < reach_squared) visit(j);
      }
    }
}

PAIR_CACE_HD inline void search_neighbors(const NeighborSearch &task, int64_t i)
{
  if (task.count) {
    int64_t n = 0;
    visit_neighbors(task, i, [&](int64_t) { ++n; });
    task.count[i] = n;
    return;
  }
  int32_t *next = task.neighbors + task.first[i];
  visit_neighbors(task, i, [&](int64_t j) { *next++ = static_cast<int32_t>(j); });
}

// Edges shorter than the cutoff, out of a list of neighbours that may be older than the positions.
template <class Real> struct EdgeSelection {
  const double *positions = nullptr;    // (points, 3) Å
  const int64_t *first = nullptr;       // as in NeighborSearch
  const int32_t *neighbors = nullptr;
  double cutoff = 0.0;                         // Å
  const int64_t *sender_of_point = nullptr;    // (points,); negative: sends nothing

  // Results: either the numbers, or, where those added up are known, the edges. Edges from `capacity` on have no place.
  int64_t *count = nullptr;               // (receivers,)
  const int64_t *first_edge = nullptr;    // (receivers + 1,)
  int64_t capacity = 0;
  Real *vectors = nullptr;                             // (capacity, 3) Å
  int64_t *senders = nullptr, *receivers = nullptr;    // (capacity,)
  int64_t *same_place = nullptr;    // two points at one place, see PointPair; as it was if there are none
  ContactWatch watch;
  double *densities = nullptr;    // (receivers,) atoms/Å³, see contacts.h; null: not wanted
};

template <class Real, class Visit>
PAIR_CACE_HD void visit_edges(const EdgeSelection<Real> &task, int64_t i, const Visit &visit)
{
  const double *x = task.positions + 3 * i;
  const double cutoff_squared = task.cutoff * task.cutoff;
  for (int64_t k = task.first[i]; k < task.first[i + 1]; ++k) {
    const int64_t j = task.neighbors[k], sender = task.sender_of_point[j];
    const double *y = task.positions + 3 * j;
    const double r[3] = {x[0] - y[0], x[1] - y[1], x[2] - y[2]};
    const double r_squared = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
    if (r_squared >= cutoff_squared || sender < 0) continue;
    visit(j, sender, r, r_squared);
  }
}

// `Atomic` as in ContactWatch.
template <class Real, class Atomic>
PAIR_CACE_HD void select_edges(const EdgeSelection<Real> &task, int64_t i, const Atomic &atomic)
{
  if (task.count) {
    int64_t n = 0;
    visit_edges(task, i, [&](int64_t, int64_t, const double *, double) { ++n; });
    task.count[i] = n;
    return;
  }
  const double bound = task.watch.bound_squared(i);
  const double remarkable = bound > same_place_squared ? bound : same_place_squared;    // few edges are shorter
  int64_t e = task.first_edge[i];
  visit_edges(task, i, [&](int64_t j, int64_t sender, const double *r, double r_squared) {
    if (r_squared < remarkable) {
      if (r_squared < same_place_squared) *task.same_place = PointPair{i, j}.packed();
      if (r_squared < bound) task.watch.note(i, sender, r_squared, atomic);
    }
    if (e >= task.capacity) return;
    task.senders[e] = sender;
    task.receivers[e] = i;
    for (int k = 0; k < 3; ++k) task.vectors[3 * e + k] = static_cast<Real>(r[k]);
    ++e;
  });
  if (!task.densities) return;
  double sum = 0.0;
  visit_edges(task, i, [&](int64_t, int64_t, const double *, double r_squared) {
    sum += density_weight(r_squared, task.cutoff * task.cutoff);
  });
  task.densities[i] = density_of(sum, task.cutoff);
}

// Fills the places behind the last edge with edges of twice the cutoff, whose senders are all rows in turn.
template <class Real> struct EdgePadding {
  EdgeSelection<Real> edges;
  int64_t n_receivers = 0, n_senders = 0;
};

template <class Real> PAIR_CACE_HD void pad_edges(const EdgePadding<Real> &task, int64_t e)
{
  const EdgeSelection<Real> &edges = task.edges;
  if (e < edges.first_edge[task.n_receivers]) return;
  edges.senders[e] = e % task.n_senders;
  edges.receivers[e] = task.n_receivers - 1;
  edges.vectors[3 * e] = static_cast<Real>(2.0 * edges.cutoff);
  edges.vectors[3 * e + 1] = edges.vectors[3 * e + 2] = Real(0);
}

// Forces, and the virial if it is wanted, of the edges of a receiver. Several edges end at one sender: `add` is
// called as add(address, value).
template <class Real> struct ForceSum {
  const int64_t *first_edge = nullptr;
  const int64_t *senders = nullptr;
  const Real *vectors = nullptr, *gradient = nullptr;    // (edges, 3)
  double *forces = nullptr;                              // (rows, 3) eV/Å, added to
  double *virial = nullptr;                              // (9,) eV, row by row, added to; null: not wanted
};

template <class Real, class Add>
PAIR_CACE_HD void sum_forces(const ForceSum<Real> &task, int64_t i, double *virial, const Add &add)
{
  double mine[3] = {0.0, 0.0, 0.0};
  for (int64_t e = task.first_edge[i]; e < task.first_edge[i + 1]; ++e) {
    for (int a = 0; a < 3; ++a) {
      const double g = task.gradient[3 * e + a];
      mine[a] -= g;
      add(task.forces + 3 * task.senders[e] + a, g);
      if (virial)
        for (int b = 0; b < 3; ++b) virial[3 * b + a] -= double(task.vectors[3 * e + b]) * g;
    }
  }
  for (int a = 0; a < 3; ++a) add(task.forces + 3 * i + a, mine[a]);
}

// For receivers begin … end − 1. On a CPU results that are added to are those of one thread.
template <class Real> struct NeighborKernels {
  template <class Task> using Function = void (*)(const Task &, int64_t begin, int64_t end);

  Function<NeighborSearch> search;
  Function<EdgeSelection<Real>> select;
  Function<EdgePadding<Real>> pad;    // of places begin … end − 1
  Function<ForceSum<Real>> forces;
};

}    // namespace pair_cace
