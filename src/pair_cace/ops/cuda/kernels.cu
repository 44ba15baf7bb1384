// All CUDA kernels as one table, which has the form of that of a CPU (kernels/kernels.h). Knows no torch header.
#include "kernel_table.h"
#include "neighbors.h"

namespace pair_cace {

bool has_cuda_kernels()
{
  return true;
}

template <> const Kernels<float> &cuda_kernels<float>()
{
  static const Kernels<float> table = table_of<float>("cuda");
  return table;
}

template <> const Kernels<double> &cuda_kernels<double>()
{
  static const Kernels<double> table = table_of<double>("cuda");
  return table;
}

template <> const NeighborKernels<float> &cuda_neighbor_kernels<float>()
{
  static const NeighborKernels<float> table = neighbor_table<float>();
  return table;
}

template <> const NeighborKernels<double> &cuda_neighbor_kernels<double>()
{
  static const NeighborKernels<double> table = neighbor_table<double>();
  return table;
}

}    // namespace pair_cace
