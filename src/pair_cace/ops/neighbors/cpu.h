// The work of neighbor_tasks.h on a CPU.
#pragma once

#include "neighbor_tasks.h"

namespace pair_cace {

template <class Real> const NeighborKernels<Real> &cpu_neighbor_kernels()
{
  static const NeighborKernels<Real> table{[](const NeighborSearch &task, int64_t begin, int64_t end) {
                                             for (int64_t i = begin; i < end; ++i) search_neighbors(task, i);
                                           },
                                           [](const EdgeSelection<Real> &task, int64_t begin, int64_t end) {
                                             for (int64_t i = begin; i < end; ++i) select_edges(task, i, HostAtomic());
                                           },
                                           [](const EdgePadding<Real> &task, int64_t begin, int64_t end) {
                                             for (int64_t e = begin; e < end; ++e) pad_edges(task, e);
                                           },
                                           [](const ForceSum<Real> &task, int64_t begin, int64_t end) {
                                             for (int64_t i = begin; i < end; ++i)
                                               sum_forces(task, i, task.virial,
                                                          [](double *to, double value) { *to += value; });
                                           }};
  return table;
}

}    // namespace pair_cace
