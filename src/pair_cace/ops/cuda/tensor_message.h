// The sums of ../tensor_message.cpp on a GPU (kernels.h, TensorMessageSum): a block for every receiver, a thread for every
// column c = (r, m) of its g, with all components d. Threads read what others of the warp read, or what is beside it; they
// share nothing but the results that several columns add to.
#pragma once

#include "angular.h"

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

// What a thread knows of the columns of an atom. D is the number of components.
template <class Real, int L, int D> class TensorColumn {
 public:
  __device__ TensorColumn(const TensorMessageSum<Real> &task, int64_t atom, int c)
      : task_(task), l_max_(L == any_degree ? task.l_max : L), n_angular_(n_angular_up_to(l_max_)), atom_(atom), c_(c),
        m_(c % task.n_told)
  {
  }

  __device__ Real &g(int k, int d) const
  {
    return task_.g[((atom_ * n_angular_ + k) * D + d) * task_.n_columns() + c_];
  }
  __device__ Real &Y(int64_t edge, int k) const { return task_.Y[edge * n_angular_ + k]; }
  __device__ Real &R(int64_t edge, int l) const { return task_.R[(edge * (l_max_ + 1) + l) * task_.n_columns() + c_]; }
  __device__ Real &h(int64_t edge, int d) const { return task_.h[(task_.senders[edge] * D + d) * task_.n_told + m_]; }

  __device__ void sum_g() const
  {
    Real sum[D][room_for_angular<L>];
    for_angular<L>(l_max_, [&](const AngularIndex &at) {
      for (int d = 0; d < D; ++d) sum[d][at.k] = Real(0);
    });
    for_edges([&](int64_t edge) {
      Real x[D][room_for_degrees<L>];
      outer_product(edge, x);
      for_angular<L>(l_max_, [&](const AngularIndex &at) {
        const Real y = Y(edge, at.k);
        for (int d = 0; d < D; ++d) sum[d][at.k] += y * x[d][at.degree];
      });
    });
    for_angular<L>(l_max_, [&](const AngularIndex &at) {
      for (int d = 0; d < D; ++d) g(at.k, d) = sum[d][at.k];
    });
  }

  // All threads of a warp take part, also those without a column.
  __device__ void sum_Y(bool works) const
  {
    Real of_atom[D][room_for_angular<L>];
    load_g(of_atom);
    for_edges([&](int64_t edge) {
      Real x[D][room_for_degrees<L>];
      outer_product(edge, x);
      Real sum[room_for_angular<L>] = {};
      for_angular<L>(l_max_, [&](const AngularIndex &at) {
        for (int d = 0; works && d < D; ++d) sum[at.k] += of_atom[d][at.k] * x[d][at.degree];
      });
      add_all_of_warp(&Y(edge, 0), sum, n_angular_);
    });
  }

  __device__ void sum_R() const
  {
    Real of_atom[D][room_for_angular<L>];
    load_g(of_atom);
    for_edges([&](int64_t edge) {
      Real told[D], sum[room_for_degrees<L>];
      for (int d = 0; d < D; ++d) told[d] = h(edge, d);
      for_degrees<L>(l_max_, [&](int l) { sum[l] = Real(0); });
      for_angular<L>(l_max_, [&](const AngularIndex &at) {
        Real product = Real(0);
        for (int d = 0; d < D; ++d) product += of_atom[d][at.k] * told[d];
        sum[at.degree] += Y(edge, at.k) * product;
      });
      for_degrees<L>(l_max_, [&](int l) { R(edge, l) = sum[l]; });
    });
  }

  __device__ void sum_h() const
  {
    Real of_atom[D][room_for_angular<L>];
    load_g(of_atom);
    for_edges([&](int64_t edge) {
      Real sum[D] = {};
      for_angular<L>(l_max_, [&](const AngularIndex &at) {
        const Real factor = Y(edge, at.k) * R(edge, at.degree);
        for (int d = 0; d < D; ++d) sum[d] += factor * of_atom[d][at.k];
      });
      for (int d = 0; d < D; ++d) add_to(&h(edge, d), sum[d]);
    });
  }

 private:
  template <class Body> __device__ void for_edges(const Body &body) const
  {
    const Grouping &edges = task_.by_receiver;
    for (int64_t k = edges.start[atom_]; k < edges.start[atom_ + 1]; ++k) body(edges.edge(k));
  }

  __device__ void load_g(Real (&of_atom)[D][room_for_angular<L>]) const
  {
    for_angular<L>(l_max_, [&](const AngularIndex &at) {
      for (int d = 0; d < D; ++d) of_atom[d][at.k] = g(at.k, d);
    });
  }

  __device__ void outer_product(int64_t edge, Real (&x)[D][room_for_degrees<L>]) const
  {
    Real told[D];
    for (int d = 0; d < D; ++d) told[d] = h(edge, d);
    for_degrees<L>(l_max_, [&](int l) {
      const Real radial = R(edge, l);
      for (int d = 0; d < D; ++d) x[d][l] = radial * told[d];
    });
  }

  const TensorMessageSum<Real> &task_;
  int l_max_, n_angular_;
  int64_t atom_;
  int c_, m_;
};

template <class Real, int L, int D, TensorMessagePart part>
__global__ void __launch_bounds__(128) tensor_message(TensorMessageSum<Real> task, int64_t begin)
{
  for (int first = 0; first < task.n_columns(); first += blockDim.x) {
    const int c = first + static_cast<int>(threadIdx.x);
    const bool works = c < task.n_columns();
    const TensorColumn<Real, L, D> column(task, begin + blockIdx.x, works ? c : 0);
    if constexpr (part == TensorMessagePart::Y) column.sum_Y(works);
    if (!works) continue;
    if constexpr (part == TensorMessagePart::g) column.sum_g();
    if constexpr (part == TensorMessagePart::R) column.sum_R();
    if constexpr (part == TensorMessagePart::h) column.sum_h();
  }
}

template <class Real, int L, int D, TensorMessagePart part>
void run_tensor_message(const TensorMessageSum<Real> &task, int64_t begin, int64_t end)
{
  const int threads = task.n_columns() > 96 ? 128 : (task.n_columns() + 31) / 32 * 32;
  launch(tensor_message<Real, L, D, part>, end - begin, threads, 0, task, begin);
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
