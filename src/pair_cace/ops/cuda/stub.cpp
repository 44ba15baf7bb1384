// A build without nvcc: no kernels for CUDA.
#include "cuda_kernels.h"

#include <stdexcept>

namespace pair_cace {

bool has_cuda_kernels()
{
  return false;
}

namespace {

[[noreturn]] void refuse()
{
  throw std::runtime_error("expected operations that were built with CUDA for tensors on a GPU, got a build without; "
                           "build pair_cace where nvcc and a CUDA build of torch are, or use the CPU");
}

}    // namespace

template <class Real> const Kernels<Real> &cuda_kernels()
{
  refuse();
}

template <class Real> const NeighborKernels<Real> &cuda_neighbor_kernels()
{
  refuse();
}

template const Kernels<float> &cuda_kernels<float>();
template const Kernels<double> &cuda_kernels<double>();
template const NeighborKernels<float> &cuda_neighbor_kernels<float>();
template const NeighborKernels<double> &cuda_neighbor_kernels<double>();

}    // namespace pair_cace
