// Neighbour lists where the positions are, on a CPU or a GPU: cells are searched when the list is built, and every step
// selects the edges that are shorter than the cutoff now. Nothing waits for a GPU but build().
#pragma once

#include "neighbor_tasks.h"

#include <ATen/core/Tensor.h>

#include <optional>

namespace pair_cace {

using at::Tensor;

// Neighbours of receivers among points, in order of the receivers.
struct Neighbors {
  Tensor first;        // (receivers + 1,) int64
  Tensor neighbors;    // (first[receivers],) int32

  int64_t n_receivers() const { return first.size(0) - 1; }
};

// ContactLimits on the device of the positions, the atomic numbers of all rows, (rows,) int64, and what there is to
// begin with, no Contact of any pair of kinds, as int64.
struct ContactTensors {
  Tensor species, kinds, limit_squared, largest_squared, none;

  bool is_watching() const { return largest_squared.defined(); }
};

// Edges in order of receivers; behind first_edge[receivers] there is padding, edges longer than the cutoff, which add
// nothing to anything.
struct SelectedEdges {
  Tensor vectors;               // (capacity, 3) Å
  Tensor senders, receivers;    // (capacity,) int64
  Tensor first_edge;            // (receivers + 1,) int64
  Tensor found;                 // int64: number of edges; PointPair at the same place, packed, or −1; then, if somebody
                                // watches, the Contact of every pair of kinds
  Tensor densities;             // (receivers,) float64 atoms/Å³, if they are wanted
};

// Points closer than `reach` (Å) to the first n_receivers of `positions` (points, 3) float64.
// Raises c10::Error if positions are not finite.
[[gnu::visibility("default")]] Neighbors search_neighbors(const Tensor &positions, int64_t n_receivers, double reach);

// Those edges that are shorter than `cutoff`. `sender_of_point` (points,) int64 says what stands for a point, negative
// for nothing. `type` is that of the vectors. If there are more than `capacity` edges (see `found`), the rest is missing;
// without a capacity there is room for all of them, which waits for the device.
[[gnu::visibility("default")]] SelectedEdges select_edges(const Tensor &positions, const Neighbors &neighbors,
                                                          const Tensor &sender_of_point, double cutoff,
                                                          at::ScalarType type, std::optional<int64_t> capacity,
                                                          const ContactTensors &watch = {},
                                                          bool wants_densities = false);

// Their number. Waits for the device.
[[gnu::visibility("default")]] int64_t count_edges(const Tensor &positions, const Neighbors &neighbors,
                                                   const Tensor &sender_of_point, double cutoff);

// Forces (n_rows, 3) float64, eV/Å, of edges and their gradient; `virial`, if defined, (9,) float64, is added to.
[[gnu::visibility("default")]] Tensor sum_forces(const SelectedEdges &edges, const Tensor &gradient, int64_t n_rows,
                                                 const Tensor &virial);

}    // namespace pair_cace
