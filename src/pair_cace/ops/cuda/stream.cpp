// The stream that kernels run on: torch's own, of the current device.
#include <c10/cuda/CUDAStream.h>

namespace pair_cace {

cudaStream_t current_cuda_stream()
{
  return c10::cuda::getCurrentCUDAStream().stream();
}

}    // namespace pair_cace
