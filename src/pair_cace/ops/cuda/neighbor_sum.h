// Sums over neighbours on a GPU (kernels.h, NeighborSum): a block for every receiver. What is counted per edge is
// counted in ../kernels/neighbor_sum.h; read from shared memory: a value per multiply-add.
#pragma once

#include "angular.h"

#include <algorithm>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

struct NeighborSumShape {
  int tile = 0;         // edges whose basis is in shared memory at a time
  int per_group = 0;    // threads that share the edges of a tile with other such groups
  int n_groups = 0;
};

// A thread has a pair (n, w) and the sums of all 𝐥; the edges of a tile are dealt out to groups of threads.
template <class T, int L>
__global__ void __launch_bounds__(128) neighbor_sum(NeighborSum<RealOf<T>> task, int64_t begin, NeighborSumShape shape)
{
  using Real = RealOf<T>;
  const int l_max = L == any_degree ? task.basis.l_max : L;
  const int n_angular = n_angular_up_to(l_max), n_rbf = task.basis.n_rbf, n_weights = task.n_weights;
  const int n_pairs = n_rbf * n_weights;
  const int64_t atom = begin + blockIdx.x;
  const int64_t first = task.by_receiver.start[atom], last = task.by_receiver.start[atom + 1];
  int64_t *place_of_weights = shared_memory<int64_t>();                  // (tile)
  T *angular = reinterpret_cast<T *>(place_of_weights + shape.tile);     // (tile, N_l)
  T *radial = angular + shape.tile * n_angular;                          // (tile, n_rbf)
  Real *sums = reinterpret_cast<Real *>(radial + shape.tile * n_rbf);    // (groups, N_l, per_group)
  const int group = threadIdx.x / shape.per_group, lane = threadIdx.x % shape.per_group;

  for (int first_pair = 0; first_pair < n_pairs; first_pair += shape.per_group) {
    const int pair = first_pair + lane;
    const bool works = group < shape.n_groups && pair < n_pairs;
    const int n = pair / n_weights, w = pair % n_weights;
    Real sum[room_for_angular<L>];
    for_angular<L>(l_max, [&](const AngularIndex &at) { sum[at.k] = Real(0); });

    for (int64_t tile = first; tile < last; tile += shape.tile) {
      const int n_edges = static_cast<int>(last - tile < shape.tile ? last - tile : shape.tile);
      __syncthreads();
      for (int e = threadIdx.x; e < n_edges; e += blockDim.x) {
        const int64_t at = task.by_receiver.edge(tile + e);
        Edge<T> edge;
        edge.load(task.vectors, at, task.basis.cutoff, task.basis.exponent);
        make_angular<L>(l_max, edge.direction, angular + e * n_angular);
        const RadialDistance<T> distance = radial_distance<T>(task.basis, edge);
        for (int k = 0; k < n_rbf; ++k)
          radial[e * n_rbf + k] =
              radial_function<false, T>(task.basis, number<T>(task.frequencies, k), distance, edge).value;
        place_of_weights[e] = task.senders[at] * task.row();
      }
      __syncthreads();
      for (int e = works ? group : n_edges; e < n_edges; e += shape.n_groups) {
        const T factor = radial[e * n_rbf + n];
        T pair_of_degree[room_for_degrees<L>] = {};
        for_degrees<L>(l_max, [&](int l) {
          const int d = task.n_degrees == 1 ? 0 : l;
          pair_of_degree[l] = factor * number<T>(task.weights, place_of_weights[e] + d * n_weights + w);
        });
        for_angular<L>(l_max, [&](const AngularIndex &at) {
          sum[at.k] += result_of(angular[e * n_angular + at.k] * pair_of_degree[at.degree]);
        });
      }
    }

    if (shape.n_groups > 1) {
      __syncthreads();
      if (works && group > 0)
        for_angular<L>(l_max, [&](const AngularIndex &at) {
          sums[(group * n_angular + at.k) * shape.per_group + lane] = sum[at.k];
        });
      __syncthreads();
    }
    if (works && group == 0)
      for_angular<L>(l_max, [&](const AngularIndex &at) {
        Real total = sum[at.k];
        for (int other = 1; other < shape.n_groups; ++other)
          total += sums[(other * n_angular + at.k) * shape.per_group + lane];
        task.raw[atom * task.size() + int64_t(at.k) * n_pairs + pair] = total;
      });
  }
}

// A thread has an edge. grad_raw is in shared memory, by pairs p = (w, n): some at a time if not all fit; a sender's
// gradient is added for every w.
template <class T, int L>
__global__ void __launch_bounds__(128)
    neighbor_sum_gradient(NeighborSum<RealOf<T>> task, int64_t begin, int pairs_at_once)
{
  using Real = RealOf<T>;
  const int l_max = L == any_degree ? task.basis.l_max : L;
  const int n_angular = n_angular_up_to(l_max), n_rbf = task.basis.n_rbf, n_weights = task.n_weights;
  const int n_pairs = n_rbf * n_weights, n_threads = blockDim.x;
  const int64_t atom = begin + blockIdx.x;
  const int64_t first = task.by_receiver.start[atom], last = task.by_receiver.start[atom + 1];
  // Of this thread's edge, for every n: R_n f_c, its slope, and its derivative by the frequency.
  T *radial = shared_memory<T>(), *slope = radial + n_rbf * n_threads, *by_frequency = slope + n_rbf * n_threads;
  Real *grad_raw = reinterpret_cast<Real *>(by_frequency + n_rbf * n_threads);    // (pairs, N_l)
  const auto mine = [&](int n) { return n * n_threads + static_cast<int>(threadIdx.x); };

  for (int first_pair = 0; first_pair < n_pairs; first_pair += pairs_at_once) {
    const int end_pair = first_pair + pairs_at_once < n_pairs ? first_pair + pairs_at_once : n_pairs;
    __syncthreads();
    for (int at = threadIdx.x; at < n_angular * n_pairs; at += n_threads) {
      const int k = at / n_pairs, n = at % n_pairs / n_weights, w = at % n_weights, p = w * n_rbf + n;
      if (first_pair <= p && p < end_pair)
        grad_raw[(p - first_pair) * n_angular + k] = task.grad_raw[atom * task.size() + at];
    }
    __syncthreads();

    for (int64_t e = first + threadIdx.x; e < last; e += n_threads) {
      const int64_t here = task.by_receiver.edge(e);
      Edge<T> edge;
      edge.load(task.vectors, here, task.basis.cutoff, task.basis.exponent);
      T angular[room_for_angular<L>], grad_angular[room_for_angular<L>];
      make_angular<L>(l_max, edge.direction, angular);
      for_angular<L>(l_max, [&](const AngularIndex &at) { grad_angular[at.k] = zero<T>(); });
      const RadialDistance<T> distance = radial_distance<T>(task.basis, edge);
      for (int n = 0; n < n_rbf; ++n) {
        const auto of_n = radial_function<true, T>(task.basis, number<T>(task.frequencies, n), distance, edge);
        radial[mine(n)] = of_n.value;
        slope[mine(n)] = of_n.slope;
        by_frequency[mine(n)] = of_n.by_parameter;
      }
      const int64_t place_of_weights = task.senders[here] * task.row();
      T grad_length = zero<T>();

      for (int p = first_pair; p < end_pair;) {
        const int w = p / n_rbf;
        T weight[room_for_degrees<L>];
        Real grad_weight[room_for_degrees<L>];
        for_degrees<L>(l_max, [&](int l) {
          const int d = task.n_degrees == 1 ? 0 : l;
          weight[l] = number<T>(task.weights, place_of_weights + d * n_weights + w);
          grad_weight[l] = Real(0);
        });
        for (int n = p % n_rbf; n < n_rbf && p < end_pair; ++n, ++p) {
          const Real *g = grad_raw + (p - first_pair) * n_angular;
          const T factor = radial[mine(n)];
          T overlap[room_for_degrees<L>], weighted[room_for_degrees<L>];
          for_degrees<L>(l_max, [&](int l) {
            overlap[l] = zero<T>();
            weighted[l] = factor * weight[l];
          });
          for_angular<L>(l_max, [&](const AngularIndex &at) {
            const Real x = g[at.k];
            overlap[at.degree] += x * angular[at.k];
            grad_angular[at.k] += x * weighted[at.degree];
          });
          T by_radial = zero<T>();
          for_degrees<L>(l_max, [&](int l) {
            by_radial += overlap[l] * weight[l];
            grad_weight[l] += result_of(factor * overlap[l]);
          });
          grad_length += by_radial * slope[mine(n)];
          if (task.grad_frequencies)
            add_to(task.grad_frequencies + (atom % task.n_copies) * n_rbf + n,
                   result_of(by_radial * by_frequency[mine(n)]));
        }
        if (!task.grad_weights) continue;
        for_degrees<L>(l_max, [&](int l) {
          const int d = task.n_degrees == 1 ? 0 : l;
          add_to(task.grad_weights + place_of_weights + d * n_weights + w, grad_weight[l]);
        });
      }

      if (!task.grad_vectors) continue;
      T grad_direction[3] = {zero<T>(), zero<T>(), zero<T>()}, gradient[3];
      add_direction_gradient<L>(l_max, edge.direction, angular, grad_angular, grad_direction);
      vector_gradient(edge, edge.r, grad_length, grad_direction, gradient);
      for (int k = 0; k < 3; ++k) {
        Real &to = task.grad_vectors[3 * here + k];
        const Real value = result_of(gradient[k]);
        to = task.adds_to_vectors || first_pair > 0 ? to + value : value;
      }
    }
  }
}

template <class T, int L> void run_neighbor_sum(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  using Real = RealOf<T>;
  const int n_angular = task.basis.n_angular(), n_rbf = task.basis.n_rbf;
  const int n_pairs = n_rbf * task.n_weights, n_threads = n_pairs > 64 ? 128 : 64;
  NeighborSumShape shape;
  const int64_t bytes_of_edge = sizeof(int64_t) + (n_angular + n_rbf) * sizeof(T);
  shape.tile = static_cast<int>(std::min<int64_t>(n_threads, 32 * 1024 / bytes_of_edge));
  shape.tile += shape.tile % 2;    // so that what follows is aligned
  shape.per_group = std::min(n_pairs, n_threads);
  shape.n_groups = n_threads / shape.per_group;
  int64_t bytes_of_sums = int64_t(shape.n_groups) * n_angular * shape.per_group * sizeof(Real);
  if (shape.n_groups == 1 || bytes_of_sums > 32 * 1024) {
    shape.per_group = n_threads;
    shape.n_groups = 1;
    bytes_of_sums = 0;
  }
  launch(neighbor_sum<T, L>, end - begin, n_threads, shape.tile * bytes_of_edge + bytes_of_sums, task, begin, shape);
}

template <class T, int L> void run_neighbor_sum_gradient(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  using Real = RealOf<T>;
  constexpr int n_threads = 32;    // neighbours are some dozens
  const int64_t bytes_of_edges = int64_t(3) * task.basis.n_rbf * n_threads * sizeof(T);
  const int64_t bytes_of_pair = task.basis.n_angular() * sizeof(Real);
  const int64_t room = std::max<int64_t>(1, (shared_memory_limit - bytes_of_edges) / bytes_of_pair);
  const int at_once = static_cast<int>(std::min<int64_t>(room, task.basis.n_rbf * task.n_weights));
  launch(neighbor_sum_gradient<T, L>, end - begin, n_threads, bytes_of_edges + at_once * bytes_of_pair, task, begin,
         at_once);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
