// What the glue for torch knows of the CUDA kernels. A build without nvcc has stub.cpp instead of kernels.cu.
#pragma once

#include "../kernels/kernels.h"
#include "../neighbors/neighbor_tasks.h"

namespace pair_cace {

// Whether this library was built with CUDA kernels; nothing is said of the machine.
[[gnu::visibility("default")]] bool has_cuda_kernels();

// Tasks hold addresses on the current device. A call launches kernels on torch's current stream and returns.
// Throws std::runtime_error if a launch fails. Layers have no kernels here: see ../layer_in_steps.h.
template <class Real> const Kernels<Real> &cuda_kernels();
template <class Real> const NeighborKernels<Real> &cuda_neighbor_kernels();

}    // namespace pair_cace
