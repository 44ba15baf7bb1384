// What kernels need of CUDA beside the language: launching, shared memory, errors. Compiled without nvcc, the same
// kernels run on the host (tests/cuda), one thread after the other: so their logic is tested without a GPU.
#pragma once

#include "../kernels/host_device.h"

#include <cstdint>

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace pair_cace {

// The stream that torch uses on this thread (ops/cuda/stream.cpp).
cudaStream_t current_cuda_stream();

inline void check_cuda(cudaError_t status, const char *what)
{
  if (status != cudaSuccess)
    throw std::runtime_error(std::string("CUDA: ") + what + " failed: " + cudaGetErrorString(status));
}

// One block for every number below n_blocks. Kernels read their block's number from blockIdx.x.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int64_t n_blocks, int n_threads, int64_t shared_bytes,
            const Arguments &...arguments)
{
  if (n_blocks == 0) return;
  if (shared_bytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shared_bytes)),
               "asking for shared memory");
  kernel<<<static_cast<unsigned>(n_blocks), static_cast<unsigned>(n_threads), static_cast<std::size_t>(shared_bytes),
           current_cuda_stream()>>>(arguments...);
  check_cuda(cudaGetLastError(), "launching a kernel");
}

inline int current_device()
{
  int device = 0;
  check_cuda(cudaGetDevice(&device), "asking for the current device");
  return device;
}

// For values that are kept to the end of the program.
template <class Value> const Value *copy_to_device(const Value *values, int64_t n)
{
  void *copy = nullptr;
  check_cuda(cudaMalloc(&copy, n * sizeof(Value)), "reserving memory");
  check_cuda(cudaMemcpy(copy, values, n * sizeof(Value), cudaMemcpyHostToDevice), "copying to the device");
  return static_cast<const Value *>(copy);
}

template <class Value> __device__ inline Value *shared_memory()
{
  extern __shared__ double pair_cace_shared_memory[];    // aligned for all that is put there
  return reinterpret_cast<Value *>(pair_cace_shared_memory);
}

// Adds what the threads of a warp have to *sum; all of them call it. One thread then waits for other warps, not 32.
template <class Real> __device__ inline void add_of_warp(Real *sum, Real value)
{
  for (int step = 16; step > 0; step /= 2) value += __shfl_down_sync(0xffffffffu, value, step);
  if (threadIdx.x % 32 == 0) atomicAdd(sum, value);
}

// Lanes pass on half of their `2 step` values to the lane `step` further or before, and keep the sums of the others.
template <int step, class Real> __device__ inline void keep_half(Real (&kept)[32], int lane)
{
  const bool upper = lane & step;
#pragma unroll
  for (int k = 0; k < step; ++k) {
    const Real passed = upper ? kept[k] : kept[k + step];
    kept[k] = (upper ? kept[k + step] : kept[k]) + __shfl_xor_sync(0xffffffffu, passed, step);
  }
  if constexpr (step > 1) keep_half<step / 2>(kept, lane);
}

// Adds the first `size` of n values of all threads of a warp, which all call it, to sums[0], sums[1], …: 31 shuffles for
// 32 values, after which every lane has the sum of one of them.
template <int n, class Real> __device__ inline void add_all_of_warp(Real *sums, const Real (&values)[n], int size)
{
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int first = 0; first < n; first += 32) {
    if (first >= size) return;
    Real kept[32];
#pragma unroll
    for (int k = 0; k < 32; ++k)
      kept[k] = first + k < n && first + k < size ? values[first + k < n ? first + k : 0] : Real(0);
    keep_half<16>(kept, lane);
    if (first + lane < size) atomicAdd(sums + first + lane, kept[0]);
  }
}

}    // namespace pair_cace

#else

#include "cuda_on_host.h"

#endif

namespace pair_cace {

inline constexpr int64_t shared_memory_limit = 96 * 1024;    // bytes of a block, on sm_80 and later

}    // namespace pair_cace
