// A build without nvcc: no kernels for CUDA.
#include "cuda_kernels.h"

#include <stdexcept>

namespace pair_cace {

bool has_cuda_kernels()
{
  return false;
}

template <class Real> const Kernels<Real> &cuda_kernels()
{
  throw std::runtime_error("expected operations that were built with CUDA for tensors on a GPU, got a build without; "
                           "build pair_cace where nvcc is, or use the CPU");
}

template const Kernels<float> &cuda_kernels<float>();
template const Kernels<double> &cuda_kernels<double>();

}    // namespace pair_cace
