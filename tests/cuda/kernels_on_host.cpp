// The CUDA kernels as kernels for a CPU, "cuda_on_host", for tests: load this library and set
// PAIR_CACE_INSTRUCTIONS=cuda_on_host before the first operation runs.
#define PAIR_CACE_CUDA_KERNELS
#define PAIR_CACE_INSTRUCTIONS cuda_on_host

#include "../../src/pair_cace/ops/cuda/kernel_table.h"

namespace {

using namespace pair_cace;

// `evaluate` has no kernels for single layers there; it is tested as it is composed on a GPU.
const Kernels<float> for_float = table_of<float>("cuda_on_host");
const Kernels<double> for_double = table_of<double>("cuda_on_host");
const bool added = (add_kernels(for_float), add_kernels(for_double), true);

}    // namespace
