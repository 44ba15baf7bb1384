// Radial mixing and invariants on a GPU (kernels.h, Mixing): a block for every atom, a thread for every column
// (n', c), whose A is in its registers. Read per column: P = N_l · n_rbf values of raw, from the first-level cache,
// for as many multiply-adds.
#pragma once

#include "invariants.h"

#include <algorithm>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// One column of one atom.
template <class T, int L> struct MixedColumn {
  using Real = RealOf<T>;

  int m, c, w;    // n', channel, and column of raw
  int64_t atom;
  T receiver;
  T mixed[room_for_angular<L>], basis[room_for_angular<L>];    // Σ_n raw W, and A

  __device__ void make(const Mixing<Real> &task, int l_max, int64_t atom_, int column)
  {
    const int n_channels = task.n_channels(), n_angular = n_angular_up_to(l_max);
    atom = atom_;
    m = column / n_channels;
    c = column % n_channels;
    w = task.n_weights == n_channels ? c : c / task.n_basis;
    receiver = number<T>(task.receiver, atom * task.n_basis + c % task.n_basis);
    for_angular<L>(l_max, [&](const AngularIndex &at) { mixed[at.k] = zero<T>(); });
    const int64_t row = int64_t(n_angular) * task.n_rbf * task.n_weights;
    for (int n = 0; task.raw.value && n < task.n_rbf; ++n) {
      T weight[room_for_degrees<L>];
      for_degrees<L>(l_max, [&](int l) { weight[l] = number<T>(task.weight, place_of_weight(task, l, n)); });
      for_angular<L>(l_max, [&](const AngularIndex &at) {
        mixed[at.k] += weight[at.degree] * number<T>(task.raw, atom * row + place_of_raw(task, at.k, n));
      });
    }
    for_angular<L>(l_max, [&](const AngularIndex &at) {
      basis[at.k] = receiver * mixed[at.k];
      if (task.extra.value) basis[at.k] += number<T>(task.extra, place(task, n_angular, at.k));
    });
  }

  // Of row k in a table (N, n_radial, rows, C).
  __device__ int64_t place(const Mixing<Real> &task, int n_rows, int k) const
  {
    return ((atom * task.n_radial + m) * n_rows + k) * task.n_channels() + c;
  }

  __device__ int64_t place_of_weight(const Mixing<Real> &task, int l, int n) const
  {
    return (int64_t(l * task.n_rbf + n) * task.n_radial + m) * task.n_channels() + c;
  }

  __device__ int64_t place_of_raw(const Mixing<Real> &task, int k, int n) const
  {
    return int64_t(k * task.n_rbf + n) * task.n_weights + w;
  }
};

template <class T, class Column>
__global__ void __launch_bounds__(128)
    mixing(Mixing<RealOf<T>> task, int64_t begin, Column invariants, int n_invariants)
{
  constexpr int L = Column::L;
  const int l_max = L == any_degree ? task.l_max : L;
  for (int column = threadIdx.x; column < task.n_radial * task.n_channels(); column += blockDim.x) {
    MixedColumn<T, L> here;
    here.make(task, l_max, begin + blockIdx.x, column);
    if (task.basis)
      for_angular<L>(l_max, [&](const AngularIndex &at) {
        task.basis[here.place(task, n_angular_up_to(l_max), at.k)] = result_of(here.basis[at.k]);
      });
    if (task.invariants)
      invariants.values(here.basis,
                        [&](int f, T value) { task.invariants[here.place(task, n_invariants, f)] = result_of(value); });
  }
}

// In two steps for some columns at a time: a thread makes the gradient by Σ_n raw W of its column; then
// a thread adds up, for its entry (𝐥, n, w) of raw, what the columns say.
template <class T, class Column>
__global__ void __launch_bounds__(128)
    mixing_gradient(Mixing<RealOf<T>> task, int64_t begin, Column invariants, int n_invariants, int columns_at_once)
{
  using Real = RealOf<T>;
  constexpr int L = Column::L;
  const int l_max = L == any_degree ? task.l_max : L;
  const int n_angular = n_angular_up_to(l_max), n_channels = task.n_channels();
  const int n_columns = task.n_radial * n_channels, stride = n_angular | 1;    // odd: threads hit different banks
  const int64_t atom = begin + blockIdx.x;
  const int n_raw = task.raw.value ? n_angular * task.n_rbf * task.n_weights : 0;
  T *grad_mixed = shared_memory<T>();                                                       // (columns, stride)
  Real *grad_receiver = reinterpret_cast<Real *>(grad_mixed + columns_at_once * stride);    // (K,)
  for (int q = threadIdx.x; q < task.n_basis; q += blockDim.x) grad_receiver[q] = Real(0);

  for (int first = 0; first < n_columns; first += columns_at_once) {
    const int end = first + columns_at_once < n_columns ? first + columns_at_once : n_columns;
    __syncthreads();
    for (int column = first + threadIdx.x; column < end; column += blockDim.x) {
      MixedColumn<T, L> here;
      here.make(task, l_max, atom, column);
      T grad_basis[room_for_angular<L>];
      for_angular<L>(l_max, [&](const AngularIndex &at) {
        grad_basis[at.k] =
            task.grad_basis ? constant<T>(task.grad_basis[here.place(task, n_angular, at.k)]) : zero<T>();
      });
      if (task.grad_invariants)
        invariants.gradient(
            here.basis, [&](int f) { return constant<T>(task.grad_invariants[here.place(task, n_invariants, f)]); },
            grad_basis);
      Real by_receiver = Real(0);
      for_angular<L>(l_max, [&](const AngularIndex &at) {
        if (task.grad_extra) task.grad_extra[here.place(task, n_angular, at.k)] = result_of(grad_basis[at.k]);
        by_receiver += result_of(here.mixed[at.k] * grad_basis[at.k]);
        grad_basis[at.k] = here.receiver * grad_basis[at.k];
        grad_mixed[(column - first) * stride + at.k] = grad_basis[at.k];
      });
      if (n_raw == 0) continue;
      if (task.grad_receiver) add_to(grad_receiver + here.c % task.n_basis, by_receiver);
      if (!task.grad_weight) continue;
      const int64_t copy = (atom % task.n_copies) * (l_max + 1) * task.n_rbf * n_columns;
      for (int n = 0; n < task.n_rbf; ++n) {
        T sum[room_for_degrees<L>];
        for_degrees<L>(l_max, [&](int l) { sum[l] = zero<T>(); });
        for_angular<L>(l_max, [&](const AngularIndex &at) {
          sum[at.degree] += grad_basis[at.k] * number<T>(task.raw, atom * n_raw + here.place_of_raw(task, at.k, n));
        });
        for_degrees<L>(l_max, [&](int l) {
          add_to(task.grad_weight + copy + here.place_of_weight(task, l, n), result_of(sum[l]));
        });
      }
    }
    __syncthreads();

    for (int at = threadIdx.x; task.grad_raw && at < n_raw; at += blockDim.x) {
      const int w = at % task.n_weights, n = at / task.n_weights % task.n_rbf;
      const int k = at / (task.n_weights * task.n_rbf), l = degree_of_index(k);
      const int channels_of_w = task.n_weights == n_channels ? 1 : task.n_basis;
      Real sum = first == 0 ? Real(0) : task.grad_raw[atom * n_raw + at];
      for (int m = first / n_channels; m * n_channels < end; ++m)
        for (int c = w * channels_of_w; c < (w + 1) * channels_of_w; ++c) {
          const int column = m * n_channels + c;
          if (column < first || column >= end) continue;
          const T weight = number<T>(task.weight, (int64_t(l * task.n_rbf + n) * task.n_radial + m) * n_channels + c);
          sum += result_of(weight * grad_mixed[(column - first) * stride + k]);
        }
      task.grad_raw[atom * n_raw + at] = sum;
    }
  }
  __syncthreads();
  if (task.grad_receiver)
    for (int q = threadIdx.x; q < task.n_basis; q += blockDim.x)
      task.grad_receiver[atom * task.n_basis + q] = grad_receiver[q];
}

inline constexpr int threads_of_mixing = 128;

template <class T, class Column>
void run_mixing(const Mixing<RealOf<T>> &task, int64_t begin, int64_t end, const Column &column)
{
  launch(mixing<T, Column>, end - begin, threads_of_mixing, 0, task, begin, column,
         number_of_invariants(task.l_max, task.nu_max));
}

template <class T, class Column>
void run_mixing_gradient(const Mixing<RealOf<T>> &task, int64_t begin, int64_t end, const Column &column)
{
  using Real = RealOf<T>;
  const int64_t bytes_of_column = (task.n_angular() | 1) * sizeof(T);
  const int64_t bytes_of_receiver = task.n_basis * sizeof(Real);
  const int64_t room = std::max<int64_t>(1, (shared_memory_limit / 2 - bytes_of_receiver) / bytes_of_column);
  const int at_once = static_cast<int>(std::min<int64_t>(room, task.n_radial * task.n_channels()));
  launch(mixing_gradient<T, Column>, end - begin, threads_of_mixing, at_once * bytes_of_column + bytes_of_receiver,
         task, begin, column, number_of_invariants(task.l_max, task.nu_max), at_once);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
