// The work of ../neighbors/neighbor_tasks.h on CUDA: one thread for every receiver.
#pragma once

#include "platform.h"

#include "../neighbors/neighbor_tasks.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

inline constexpr int threads_of_receivers = 128;

__device__ inline int64_t number_of_thread()
{
  return int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
}

inline int64_t blocks_for(int64_t n)
{
  return (n + threads_of_receivers - 1) / threads_of_receivers;
}

__global__ void search_kernel(NeighborSearch task, int64_t begin, int64_t end)
{
  const int64_t i = begin + number_of_thread();
  if (i < end) search_neighbors(task, i);
}

struct DeviceAtomic {
  __device__ void add(int64_t *to, int64_t value) const
  {
    atomicAdd(reinterpret_cast<unsigned long long *>(to), static_cast<unsigned long long>(value));
  }

  __device__ void lower(int64_t *to, int64_t value) const
  {
    atomicMin(reinterpret_cast<long long *>(to), static_cast<long long>(value));
  }
};

template <class Real> __global__ void select_kernel(EdgeSelection<Real> task, int64_t begin, int64_t end)
{
  const int64_t i = begin + number_of_thread();
  if (i < end) select_edges(task, i, DeviceAtomic());
}

template <class Real> __global__ void pad_kernel(EdgePadding<Real> task, int64_t begin, int64_t end)
{
  const int64_t e = begin + number_of_thread();
  if (e < end) pad_edges(task, e);
}

// The virial is summed up in the block first.
template <class Real> __global__ void forces_kernel(ForceSum<Real> task, int64_t begin, int64_t end)
{
  const int64_t i = begin + number_of_thread();
  double virial[9] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
  if (i < end)
    sum_forces(task, i, task.virial ? virial : nullptr, [](double *to, double value) { atomicAdd(to, value); });
  if (!task.virial) return;
  double *of_threads = shared_memory<double>();    // (9, threads)
  const int n = blockDim.x, me = threadIdx.x;
  for (int k = 0; k < 9; ++k) of_threads[k * n + me] = virial[k];
  __syncthreads();
  if (me >= 9) return;
  double sum = 0.0;
  for (int k = 0; k < n; ++k) sum += of_threads[me * n + k];
  atomicAdd(task.virial + me, sum);
}

template <class Real> NeighborKernels<Real> neighbor_table()
{
  return {[](const NeighborSearch &task, int64_t begin, int64_t end) {
            launch(search_kernel, blocks_for(end - begin), threads_of_receivers, 0, task, begin, end);
          },
          [](const EdgeSelection<Real> &task, int64_t begin, int64_t end) {
            launch(select_kernel<Real>, blocks_for(end - begin), threads_of_receivers, 0, task, begin, end);
          },
          [](const EdgePadding<Real> &task, int64_t begin, int64_t end) {
            launch(pad_kernel<Real>, blocks_for(end - begin), threads_of_receivers, 0, task, begin, end);
          },
          [](const ForceSum<Real> &task, int64_t begin, int64_t end) {
            const int64_t shared_bytes = task.virial ? 9 * threads_of_receivers * sizeof(double) : 0;
            launch(forces_kernel<Real>, blocks_for(end - begin), threads_of_receivers, shared_bytes, task, begin, end);
          }};
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
