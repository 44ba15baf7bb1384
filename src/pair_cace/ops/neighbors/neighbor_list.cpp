#include "neighbor_list.h"

#include "../torch_glue.h"
#include "cpu.h"

#include <ATen/Dispatch.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/floor.h>
#include <ATen/ops/full.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>
#include <c10/core/DeviceGuard.h>
#include <torch/library.h>

#include <cmath>
#include <limits>
#include <tuple>

namespace pair_cace {

namespace {

constexpr int64_t work_of_receiver = 2000;    // multiply-adds, for a share of threads

template <class Real> const NeighborKernels<Real> &neighbor_kernels(const Tensor &like)
{
  return like.is_cuda() ? cuda_neighbor_kernels<Real>() : cpu_neighbor_kernels<Real>();
}

template <class Task, class Function>
void for_all(int64_t n, const Tensor &like, int64_t work, const Task &task, Function kernel)
{
  Shares(n, 1, n * work, like).run([&](int64_t begin, int64_t end, int64_t) { kernel(task, begin, end); });
}

void check_positions(const Tensor &positions, int64_t n_receivers)
{
  TORCH_CHECK(positions.dim() == 2 && positions.size(1) == 3 && positions.scalar_type() == at::kDouble &&
                  positions.is_contiguous(),
              "neighbors: expected contiguous positions of shape (N, 3) in float64, got shape ", positions.sizes(),
              " in ", positions.scalar_type());
  TORCH_CHECK(positions.size(0) <= std::numeric_limits<int32_t>::max(), "neighbors: expected at most ",
              std::numeric_limits<int32_t>::max(), " points on one device, got ", positions.size(0));
  TORCH_CHECK(0 <= n_receivers && n_receivers <= positions.size(0), "neighbors: expected 0 to ", positions.size(0),
              " receivers, got ", n_receivers);
}

CellGrid grid_around(const Tensor &positions, double reach)
{
  const auto [low, high] = at::aminmax(positions, /*dim=*/0);
  const Tensor corners = at::stack({low, high}).cpu();
  const double *corner = corners.const_data_ptr<double>();
  for (int k = 0; k < 6; ++k)
    TORCH_CHECK(std::isfinite(corner[k]), "expected finite positions, got ", corner[k],
                "; the simulation has left the range of the model: look at the last frames for atoms too close to "
                "each other, then try a smaller timestep or minimise first");
  return cell_grid(corner, corner + 3, reach, 64 + 2 * positions.size(0));
}

// As CellGrid::number, for all points.
Tensor cells_of_points(const Tensor &positions, const CellGrid &grid)
{
  Tensor number;
  for (int axis = 2; axis >= 0; --axis) {
    const Tensor place = ((positions.select(1, axis) - grid.origin[axis]) * grid.inverse_width[axis])
                             .clamp_(0, grid.n[axis] - 1)
                             .to(at::kLong);
    number = number.defined() ? number * grid.n[axis] + place : place;
  }
  return number;
}

// Where the rows begin whose lengths are given.
Tensor first_of(const Tensor &count)
{
  return at::cat({at::zeros({1}, count.options()), count.cumsum(0)});
}

template <class Real>
EdgeSelection<Real> selection(const Tensor &positions, const Neighbors &neighbors, const Tensor &sender_of_point,
                              double cutoff)
{
  EdgeSelection<Real> task;
  task.positions = data_of<double>(positions);
  task.first = data_of<int64_t>(neighbors.first);
  task.neighbors = data_of<int32_t>(neighbors.neighbors);
  task.cutoff = cutoff;
  task.sender_of_point = data_of<int64_t>(sender_of_point);
  return task;
}

// (receivers,) Numbers are the same for every type of the vectors.
Tensor edges_of_receivers(const Tensor &positions, const Neighbors &neighbors, const Tensor &sender_of_point,
                          double cutoff)
{
  const int64_t n = neighbors.n_receivers();
  const Tensor count = at::empty({n}, sender_of_point.options());
  auto task = selection<double>(positions, neighbors, sender_of_point, cutoff);
  task.count = data_of<int64_t>(count);
  for_all(n, positions, work_of_receiver, task, neighbor_kernels<double>(positions).select);
  return count;
}

ContactWatch watch_of(const ContactTensors &tensors, int64_t *contacts)
{
  static_assert(sizeof(Contact) == 2 * sizeof(int64_t));
  ContactWatch watch;
  watch.species = data_of<int64_t>(tensors.species);
  watch.kinds = data_of<int64_t>(tensors.kinds);
  watch.limit_squared = data_of<double>(tensors.limit_squared);
  watch.largest_squared = data_of<double>(tensors.largest_squared);
  watch.n_kinds = tensors.largest_squared.size(0);
  watch.contacts = reinterpret_cast<Contact *>(contacts);
  return watch;
}

}    // namespace

Neighbors search_neighbors(const Tensor &positions, int64_t n_receivers, double reach)
{
  check_positions(positions, n_receivers);
  const c10::DeviceGuard on_device(positions.device());
  const auto integers = positions.options().dtype(at::kLong);
  if (n_receivers == 0) return {at::zeros({1}, integers), at::empty({0}, integers.dtype(at::kInt))};
  NeighborSearch task;
  task.grid = grid_around(positions, reach);
  const auto [sorted, points] =
      at::sort(cells_of_points(positions, task.grid), /*stable=*/std::optional<bool>(true), /*dim=*/0);
  const Tensor start = at::searchsorted(sorted, at::arange(task.grid.size() + 1, integers));
  const Tensor count = at::empty({n_receivers}, integers);
  task.positions = data_of<double>(positions);
  task.start = data_of<int64_t>(start);
  task.points = data_of<int64_t>(points);
  task.reach = reach;
  task.count = data_of<int64_t>(count);
  const auto search = neighbor_kernels<double>(positions).search;
  for_all(n_receivers, positions, work_of_receiver, task, search);

  Neighbors found;
  found.first = first_of(count);
  found.neighbors = at::empty({found.first[n_receivers].item<int64_t>()}, integers.dtype(at::kInt));
  task.count = nullptr;
  task.first = data_of<int64_t>(found.first);
  task.neighbors = data_of<int32_t>(found.neighbors);
  for_all(n_receivers, positions, work_of_receiver, task, search);
  return found;
}

int64_t count_edges(const Tensor &positions, const Neighbors &neighbors, const Tensor &sender_of_point, double cutoff)
{
  const c10::DeviceGuard on_device(positions.device());
  return edges_of_receivers(positions, neighbors, sender_of_point, cutoff).sum().item<int64_t>();
}

SelectedEdges select_edges(const Tensor &positions, const Neighbors &neighbors, const Tensor &sender_of_point,
                           double cutoff, at::ScalarType type, std::optional<int64_t> wanted_capacity,
                           const ContactTensors &watch, bool wants_densities)
{
  const c10::DeviceGuard on_device(positions.device());
  const auto integers = sender_of_point.options();
  const int64_t n = neighbors.n_receivers();
  const Tensor first = first_of(edges_of_receivers(positions, neighbors, sender_of_point, cutoff));
  const int64_t capacity = wanted_capacity ? *wanted_capacity : first[n].item<int64_t>();
  SelectedEdges edges;
  edges.found = at::cat({first.slice(0, n), at::full({1}, -1, integers),
                         watch.is_watching() ? watch.none : at::empty({0}, integers)});
  edges.first_edge = first.clamp_max(capacity);
  edges.vectors = at::empty({capacity, 3}, positions.options().dtype(type));
  edges.senders = at::empty({capacity}, integers);
  edges.receivers = at::empty({capacity}, integers);
  if (wants_densities) edges.densities = at::empty({n}, positions.options());
  AT_DISPATCH_FLOATING_TYPES(type, "select_edges", [&] {
    const NeighborKernels<scalar_t> &kernels = neighbor_kernels<scalar_t>(positions);
    auto task = selection<scalar_t>(positions, neighbors, sender_of_point, cutoff);
    task.first_edge = data_of<int64_t>(edges.first_edge);
    task.capacity = capacity;
    task.vectors = data_of<scalar_t>(edges.vectors);
    task.senders = data_of<int64_t>(edges.senders);
    task.receivers = data_of<int64_t>(edges.receivers);
    task.same_place = data_of<int64_t>(edges.found) + 1;
    if (watch.is_watching()) task.watch = watch_of(watch, task.same_place + 1);
    if (wants_densities) task.densities = data_of<double>(edges.densities);
    for_all(n, positions, work_of_receiver, task, kernels.select);
    // Senders are rows; there is at least one for each receiver.
    for_all(capacity, positions, 1, EdgePadding<scalar_t>{task, n, n}, kernels.pad);
  });
  return edges;
}

Tensor sum_forces(const SelectedEdges &edges, const Tensor &gradient, int64_t n_rows, const Tensor &virial)
{
  const c10::DeviceGuard on_device(gradient.device());
  const int64_t n = edges.first_edge.size(0) - 1;
  const auto options = gradient.options().dtype(at::kDouble);
  const Shares shares(n, 1, n * work_of_receiver, gradient);
  const SharedSum forces(true, at::empty({n_rows, 3}, options), shares);
  const SharedSum virials(virial.defined(), at::empty({9}, options), shares);
  AT_DISPATCH_FLOATING_TYPES(gradient.scalar_type(), "sum_forces", [&] {
    const auto kernel = neighbor_kernels<scalar_t>(gradient).forces;
    ForceSum<scalar_t> task;
    task.first_edge = data_of<int64_t>(edges.first_edge);
    task.senders = data_of<int64_t>(edges.senders);
    task.vectors = data_of<scalar_t>(edges.vectors);
    task.gradient = data_of<scalar_t>(gradient);
    shares.run([&](int64_t begin, int64_t end, int64_t share) {
      ForceSum<scalar_t> mine = task;
      mine.forces = forces.template of_share<double>(share);
      mine.virial = virials.template of_share<double>(share);
      kernel(mine, begin, end);
    });
  });
  if (virial.defined()) virial.add_(virials.total());
  return forces.total();
}

}    // namespace pair_cace

namespace {

using at::Tensor;

std::tuple<Tensor, Tensor> search_neighbors(const Tensor &positions, int64_t n_receivers, double reach)
{
  const pair_cace::Neighbors found = pair_cace::search_neighbors(positions.contiguous(), n_receivers, reach);
  return {found.first, found.neighbors};
}

std::tuple<Tensor, Tensor, Tensor> select_edges(const Tensor &positions, const Tensor &first, const Tensor &neighbors,
                                                const Tensor &sender_of_point, double cutoff)
{
  TORCH_CHECK(first.scalar_type() == at::kLong && neighbors.scalar_type() == at::kInt && first.dim() == 1 &&
                  first.size(0) >= 1,
              "select_edges: expected what search_neighbors returns, got ", first.scalar_type(), " and ",
              neighbors.scalar_type());
  TORCH_CHECK(sender_of_point.dim() == 1 && sender_of_point.size(0) == positions.size(0) &&
                  sender_of_point.scalar_type() == at::kLong,
              "select_edges: expected one int64 for each of ", positions.size(0), " points, got ",
              sender_of_point.sizes(), " ", sender_of_point.scalar_type());
  const Tensor x = positions.contiguous(), senders = sender_of_point.contiguous();
  const pair_cace::Neighbors list{first.contiguous(), neighbors.contiguous()};
  pair_cace::check_positions(x, list.n_receivers());
  const auto edges = pair_cace::select_edges(x, list, senders, cutoff, at::kDouble, std::nullopt);
  return {edges.vectors, edges.senders, edges.receivers};
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("search_neighbors(Tensor positions, int n_receivers, float reach) -> (Tensor, Tensor)");
  library.def("select_edges(Tensor positions, Tensor first, Tensor neighbors, Tensor sender_of_point, float cutoff) "
              "-> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(pair_cace, CompositeExplicitAutograd, library)
{
  library.impl("search_neighbors", search_neighbors);
  library.impl("select_edges", select_edges);
}
