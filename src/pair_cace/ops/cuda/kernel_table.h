// The kernel for every shape: the common ones are compiled with their degree known, the others share one kernel.
#pragma once

#include "mixing.h"
#include "neighbor_sum.h"
#include "radial_message.h"
#include "tensor_message.h"

#include "cuda_kernels.h"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>

namespace pair_cace {
inline namespace PAIR_CACE_INSTRUCTIONS {

template <class Body> void at_degree(int l_max, const Body &body)
{
  if (l_max == 2) return body(std::integral_constant<int, 2>());
  if (l_max == 3) return body(std::integral_constant<int, 3>());
  if (l_max == 4) return body(std::integral_constant<int, 4>());
  body(std::integral_constant<int, any_degree>());
}

// The terms of a shape are made once, and copied to every device once.
inline ListedColumn listed_column(int l_max, int nu_max)
{
  using List = InvariantTerms<listed_capacity>;
  struct Made {
    std::unique_ptr<List> list;
    std::array<const Term *, 64> of_device{};
  };
  static Made made[max_degree + 1][5];
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  Made &shape = made[l_max][nu_max];
  if (!shape.list) shape.list = std::make_unique<List>(l_max, nu_max);
  ListedColumn column;
  column.n_terms = shape.list->n_terms;
  const Term *&terms = shape.of_device.at(current_device());
  if (!terms) terms = copy_to_device(shape.list->term, column.n_terms);
  column.terms = terms;
  return column;
}

template <class Body> void at_shape(int l_max, int nu_max, const Body &body)
{
  if (l_max == 2 && nu_max == 3) return body(FixedColumn<2, 3>());
  if (l_max == 3 && nu_max == 3) return body(FixedColumn<3, 3>());
  if (l_max == 4 && nu_max == 3) return body(FixedColumn<4, 3>());
  body(listed_column(l_max, nu_max));
}

template <class T> void any_neighbor_sum(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  at_degree(task.basis.l_max, [&](auto L) { run_neighbor_sum<T, decltype(L)::value>(task, begin, end); });
}

template <class T> void any_neighbor_sum_gradient(const NeighborSum<RealOf<T>> &task, int64_t begin, int64_t end)
{
  at_degree(task.basis.l_max, [&](auto L) { run_neighbor_sum_gradient<T, decltype(L)::value>(task, begin, end); });
}

template <class T> void any_mixing(const Mixing<RealOf<T>> &task, int64_t begin, int64_t end)
{
  at_shape(task.l_max, task.nu_max, [&](const auto &column) { run_mixing<T>(task, begin, end, column); });
}

template <class T> void any_mixing_gradient(const Mixing<RealOf<T>> &task, int64_t begin, int64_t end)
{
  at_shape(task.l_max, task.nu_max, [&](const auto &column) { run_mixing_gradient<T>(task, begin, end, column); });
}

template <class T> void any_radial_message(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  at_degree(task.l_max, [&](auto L) { run_radial_message<T, decltype(L)::value>(task, begin, end); });
}

template <class T> void any_radial_message_gradient(const RadialMessage<RealOf<T>> &task, int64_t begin, int64_t end)
{
  at_degree(task.l_max, [&](auto L) { run_radial_message_gradient<T, decltype(L)::value>(task, begin, end); });
}

template <class Real, TensorMessagePart part>
void any_tensor_message(const TensorMessageSum<Real> &task, int64_t begin, int64_t end)
{
  at_degree(task.l_max, [&](auto L) {
    if (task.n_components == 1)
      run_tensor_message<Real, decltype(L)::value, 1, part>(task, begin, end);
    else
      run_tensor_message<Real, decltype(L)::value, 3, part>(task, begin, end);
  });
}

template <class Real> Kernels<Real> table_of(const char *name)
{
  using D = Dual<Real>;
  return {name,
          1,
          any_neighbor_sum<Real>,
          any_neighbor_sum<D>,
          any_neighbor_sum_gradient<Real>,
          any_neighbor_sum_gradient<D>,
          any_mixing<Real>,
          any_mixing<D>,
          any_mixing_gradient<Real>,
          any_mixing_gradient<D>,
          any_radial_message<Real>,
          any_radial_message<D>,
          any_radial_message_gradient<Real>,
          any_radial_message_gradient<D>,
          nullptr,
          nullptr,
          nullptr,
          nullptr,
          {any_tensor_message<Real, TensorMessagePart::g>, any_tensor_message<Real, TensorMessagePart::Y>,
           any_tensor_message<Real, TensorMessagePart::R>, any_tensor_message<Real, TensorMessagePart::h>}};
}

}    // namespace PAIR_CACE_INSTRUCTIONS
}    // namespace pair_cace
