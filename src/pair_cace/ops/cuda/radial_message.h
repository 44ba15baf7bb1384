// The messages Ar and M on a GPU (kernels.h, RadialMessage): a block for every atom, a thread for every column (n', c).
#pragma once

#include "angular.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// Length and cutoff of an edge, in shared memory.
template <class T> struct MeasuredEdge {
  T length, fc, fc_slope;
  T grad_length;    // gradient kernels: all threads add to it
  int64_t other;

  __device__ void measure(const RadialMessage<RealOf<T>> &task, int64_t edge)
  {
    Edge<T> e;
    e.load(task.vectors, edge, task.cutoff, task.exponent);
    length = e.length;
    fc = e.fc;
    fc_slope = e.fc_slope;
    grad_length = zero<T>();
    other = task.other[edge];
  }
};

// Where the values of column (m, c) of an atom, and its parameters, are.
struct MessageColumn {
  int m, c, n_radial, n_channels, n_angular, l_max;

  __device__ int64_t place(int64_t atom, int k) const
  {
    return ((atom * n_radial + m) * n_angular + k) * n_channels + c;
  }
  __device__ int64_t parameter(int l) const { return (int64_t(m) * (l_max + 1) + l) * n_channels + c; }
};

template <class T, int L>
__global__ void __launch_bounds__(128) radial_message(RadialMessage<RealOf<T>> task, int64_t begin, int tile)
{
  using Real = RealOf<T>;
  const int l_max = L == any_degree ? task.l_max : L;
  const int64_t atom = begin + blockIdx.x;
  const bool sums = task.amplitude.value;
  const int64_t first = sums ? task.groups.start[atom] : 0, last = sums ? task.groups.start[atom + 1] : 0;
  MeasuredEdge<T> *edges = shared_memory<MeasuredEdge<T>>();

  for (int first_column = 0; first_column < task.n_radial * task.n_channels; first_column += blockDim.x) {
    const int number_of_column = first_column + threadIdx.x;
    const bool works = number_of_column < task.n_radial * task.n_channels;
    const MessageColumn column{number_of_column / task.n_channels,
                               number_of_column % task.n_channels,
                               task.n_radial,
                               task.n_channels,
                               n_angular_up_to(l_max),
                               l_max};
    T amplitude[room_for_degrees<L>], decay[room_for_degrees<L>];
    Real sum[room_for_angular<L>];
    if (works) {
      for_degrees<L>(l_max, [&](int l) {
        amplitude[l] = sums ? number<T>(task.amplitude, column.parameter(l)) : zero<T>();
        decay[l] = sums ? number<T>(task.decay, column.parameter(l)) : zero<T>();
      });
      for_angular<L>(l_max, [&](const AngularIndex &at) {
        sum[at.k] =
            task.memory
                ? result_of(task.memory[column.parameter(at.degree)] * number<T>(task.basis, column.place(atom, at.k)))
                : Real(0);
      });
    }
    for (int64_t begin_tile = first; begin_tile < last; begin_tile += tile) {
      const int n_edges = static_cast<int>(last - begin_tile < tile ? last - begin_tile : tile);
      __syncthreads();
      for (int e = threadIdx.x; e < n_edges; e += blockDim.x) edges[e].measure(task, task.groups.edge(begin_tile + e));
      __syncthreads();
      for (int e = 0; works && e < n_edges; ++e) {
        T factor[room_for_degrees<L>];
        for_degrees<L>(l_max, [&](int l) {
          factor[l] = amplitude[l] * exponential(-(decay[l] * edges[e].length)) * edges[e].fc;
        });
        for_angular<L>(l_max, [&](const AngularIndex &at) {
          sum[at.k] += result_of(factor[at.degree] * number<T>(task.basis, column.place(edges[e].other, at.k)));
        });
      }
    }
    if (works)
      for_angular<L>(l_max, [&](const AngularIndex &at) { task.message[column.place(atom, at.k)] = sum[at.k]; });
  }
}

// Of a sender: gradient by its A, and by all edges that leave it. All columns add to the gradient by the length of an
// edge, in shared memory; it is complete when the last columns are through, and so tiles are the outer loop.
template <class T, int L>
__global__ void __launch_bounds__(128) radial_message_gradient(RadialMessage<RealOf<T>> task, int64_t begin, int tile)
{
  using Real = RealOf<T>;
  const int l_max = L == any_degree ? task.l_max : L;
  const int n_columns = task.n_radial * task.n_channels;
  const int64_t atom = begin + blockIdx.x;
  const bool sums = task.amplitude.value;
  const int64_t first = sums ? task.groups.start[atom] : 0, last = sums ? task.groups.start[atom + 1] : 0;
  MeasuredEdge<T> *edges = shared_memory<MeasuredEdge<T>>();
  bool starts = true;    // once at least, for what the atom keeps of its own
  for (int64_t begin_tile = first; starts || begin_tile < last; begin_tile += tile, starts = false) {
    const int64_t left = last - begin_tile;
    const int n_edges = static_cast<int>(left < tile ? (left > 0 ? left : 0) : tile);
    __syncthreads();
    for (int e = threadIdx.x; e < n_edges; e += blockDim.x) edges[e].measure(task, task.groups.edge(begin_tile + e));
    __syncthreads();

    // Threads without a column take part in the sums of their warp.
    for (int first_column = 0; first_column < n_columns; first_column += blockDim.x) {
      const int wanted = first_column + static_cast<int>(threadIdx.x);
      const bool works = wanted < n_columns;
      const int i = works ? wanted : n_columns - 1;
      const MessageColumn column{i / task.n_channels, i % task.n_channels,    task.n_radial,
                                 task.n_channels,     n_angular_up_to(l_max), l_max};
      T amplitude[room_for_degrees<L>], decay[room_for_degrees<L>], basis[room_for_angular<L>];
      Real grad_amplitude[room_for_degrees<L>], grad_decay[room_for_degrees<L>], sum[room_for_angular<L>];
      for_degrees<L>(l_max, [&](int l) {
        amplitude[l] = sums ? number<T>(task.amplitude, column.parameter(l)) : zero<T>();
        decay[l] = sums ? number<T>(task.decay, column.parameter(l)) : zero<T>();
        grad_amplitude[l] = grad_decay[l] = Real(0);
      });
      for_angular<L>(l_max, [&](const AngularIndex &at) {
        basis[at.k] = number<T>(task.basis, column.place(atom, at.k));
        if (!starts)
          sum[at.k] = task.grad_basis ? task.grad_basis[column.place(atom, at.k)] : Real(0);
        else if (task.memory && atom < task.n_receivers && !is_dual<T>)
          sum[at.k] = task.memory[column.parameter(at.degree)] * task.grad_message[column.place(atom, at.k)];
        else
          sum[at.k] = Real(0);
      });
      for (int e = 0; e < n_edges; ++e) {
        const MeasuredEdge<T> &edge = edges[e];
        T damped[room_for_degrees<L>], radial[room_for_degrees<L>], overlap[room_for_degrees<L>];
        for_degrees<L>(l_max, [&](int l) {
          damped[l] = exponential(-(decay[l] * edge.length));
          radial[l] = amplitude[l] * damped[l];
          overlap[l] = zero<T>();
        });
        for_angular<L>(l_max, [&](const AngularIndex &at) {
          const Real g = task.grad_message[column.place(edge.other, at.k)];
          overlap[at.degree] += g * basis[at.k];
          sum[at.k] += g * result_of(radial[at.degree] * edge.fc);
        });
        T grad_length = zero<T>();
        for_degrees<L>(l_max, [&](int l) {
          const T weighted = overlap[l] * edge.fc;
          grad_amplitude[l] += result_of(weighted * damped[l]);
          grad_decay[l] += result_of(-(weighted * radial[l] * edge.length));
          grad_length += overlap[l] * radial[l] * edge.fc_slope - weighted * radial[l] * decay[l];
        });
        add_number_of_warp(edges[e].grad_length, works ? grad_length : zero<T>());
      }
      if (!works) continue;
      const int64_t copy = (atom % task.n_copies) * n_columns * (l_max + 1);
      for_degrees<L>(l_max, [&](int l) {
        if (task.grad_amplitude) add_to(task.grad_amplitude + copy + column.parameter(l), grad_amplitude[l]);
        if (task.grad_decay) add_to(task.grad_decay + copy + column.parameter(l), grad_decay[l]);
      });
      if (task.grad_basis)
        for_angular<L>(l_max, [&](const AngularIndex &at) { task.grad_basis[column.place(atom, at.k)] = sum[at.k]; });
    }

    __syncthreads();
    for (int e = threadIdx.x; task.grad_vectors && e < n_edges; e += blockDim.x) {
      const int64_t here = task.groups.edge(begin_tile + e);
      Edge<T> edge;
      edge.load(task.vectors, here, task.cutoff, task.exponent);
      const T by_length = edges[e].grad_length * edge.inverse_length;
      for (int k = 0; k < 3; ++k) {
        Real &to = task.grad_vectors[3 * here + k];
        const Real value = result_of(by_length * edge.r[k]);
        to = task.adds_to_vectors ? to + value : value;
      }
    }
  }
}

template <class T, int L> void run_radial_message(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  constexpr int tile = 64;
  launch(radial_message<T, L>, end - begin, 128, tile * sizeof(MeasuredEdge<T>), task, begin, tile);
}

template <class T, int L>
void run_radial_message_gradient(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  constexpr int tile = 64;
  launch(radial_message_gradient<T, L>, end - begin, 128, tile * sizeof(MeasuredEdge<T>), task, begin, tile);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
