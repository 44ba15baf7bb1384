#include "own_neighbors.h"

#include "loaded_model.h"
#include "ops/neighbors/neighbor_list.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/types.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace pair_cace {

namespace {

void wait_for(at::Device device)
{
  if (device.is_cuda()) c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
}

// Memory of the host that a GPU reads and writes by itself; kept from step to step.
class Staging {
 public:
  explicit Staging(at::Device device) : device_(device) {}

  // A copy of `values` on the device; they may change when the next wait_for() is over.
  template <class Value>
  at::Tensor to_device(const std::vector<Value> &values, at::IntArrayRef shape, at::ScalarType type)
  {
    const int64_t n = c10::multiply_integers(shape);
    if (!device_.is_cuda())    // borrowed: nobody writes to it
      return torch::from_blob(const_cast<Value *>(values.data()), shape, type);
    const at::Tensor staged = room_for(n, type);
    std::memcpy(staged.data_ptr(), values.data(), n * sizeof(Value));
    return staged.view(shape).to(device_, /*non_blocking=*/true);
  }

  // What `tensor` holds; to be read after wait_for().
  at::Tensor to_host(const at::Tensor &tensor)
  {
    if (!device_.is_cuda()) return tensor;
    return room_for(tensor.numel(), tensor.scalar_type()).view(tensor.sizes()).copy_(tensor, /*non_blocking=*/true);
  }

 private:
  at::Tensor room_for(int64_t n, at::ScalarType type)
  {
    if (!room_.defined() || room_.numel() < n || room_.scalar_type() != type)
      room_ = at::empty({n + n / 16}, at::TensorOptions(type).pinned_memory(true));
    return room_.slice(0, 0, n);
  }

  at::Device device_;
  at::Tensor room_;
};

}    // namespace

struct OwnNeighbors::Kept {
  explicit Kept(const ExportedModel::Loaded &loaded) : model(loaded) {}

  const ExportedModel::Loaded &model;
  Staging positions{model.device}, rows{model.device}, species{model.device}, energies{model.device},
      forces{model.device}, virial{model.device}, found{model.device}, densities{model.device};
  Neighbors neighbors;
  at::Tensor sender_of_point;
  int64_t capacity = 0;    // of the edges of a step

  ContactTensors limits;
  std::vector<double> densities_of_receivers;

  SelectedEdges edges;    // of the last evaluation
  at::Tensor gradient;

  at::Tensor positions_on_device(const Points &points)
  {
    return positions.to_device(points.positions, {points.size(), 3}, at::kDouble);
  }

  at::Tensor rows_on_device(const Points &points)
  {
    const at::Tensor borrowed = rows.to_device(points.row_of_point, {points.size()}, at::kLong);
    return model.device.is_cuda() ? borrowed : borrowed.clone();
  }

  void build(const Points &points, const at::Tensor &x, double skin)
  {
    sender_of_point = rows_on_device(points);
    neighbors = search_neighbors(x, points.n_receivers, model.info.cutoff + skin);
    make_room_for_edges(count_edges(x, neighbors, sender_of_point, model.info.cutoff));
  }

  // Some more than there are now: they change from step to step. Torch has memory of the same size at hand.
  void make_room_for_edges(int64_t n)
  {
    if (n > capacity || n + n / 4 < capacity) capacity = n + n / 16;
  }

  at::ScalarType type() const { return model.info.dtype == "float32" ? at::kFloat : at::kDouble; }

  void set_limits(const ContactLimits &from)
  {
    limits = {};
    if (from.n_kinds() == 0) return;
    const auto on_device = [&](const auto &values, at::ScalarType type) {
      return torch::tensor(at::makeArrayRef(values), type).to(model.device);
    };
    limits.kinds = on_device(from.kinds, at::kLong);
    limits.limit_squared = on_device(from.limit_squared, at::kDouble);
    limits.largest_squared = on_device(from.largest_squared, at::kDouble);
    std::vector<int64_t> none;
    for (std::size_t pair = 0; pair < from.limit_squared.size(); ++pair)
      none.insert(none.end(), {Contact().count, Contact().shortest});
    limits.none = on_device(none, at::kLong);
  }

  static void read_contacts(const at::Tensor &found_on_host, std::vector<Contact> &contacts)
  {
    contacts.clear();
    const int64_t *values = found_on_host.const_data_ptr<int64_t>();
    for (int64_t k = 2; k < found_on_host.numel(); k += 2) contacts.push_back({values[k], values[k + 1]});
  }

  // Whether the edges are all there; there will be room for them next time. Throws CoincidentPoints.
  bool is_whole(const at::Tensor &found_on_host)
  {
    const int64_t n_edges = check_places(found_on_host);
    if (n_edges <= edges.senders.size(0)) return true;
    make_room_for_edges(n_edges);
    return false;
  }

  static int64_t check_places(const at::Tensor &found_on_host)
  {
    const int64_t *values = found_on_host.const_data_ptr<int64_t>();
    if (values[1] >= 0) {
      const PointPair pair = PointPair::unpacked(values[1]);
      throw CoincidentPoints{pair.receiver, pair.point};
    }
    return values[0];
  }
};

OwnNeighbors::OwnNeighbors(const ExportedModel &model) : kept_(new Kept(model.loaded()))
{
}

OwnNeighbors::~OwnNeighbors() = default;

void OwnNeighbors::watch(const ContactLimits &limits)
{
  const c10::DeviceGuard on_device(kept_->model.device);
  kept_->set_limits(limits);
}

const std::vector<double> &OwnNeighbors::densities() const
{
  return kept_->densities_of_receivers;
}

void OwnNeighbors::evaluate(const Points &points, bool is_new, double skin, GhostExchange *exchange,
                            std::vector<double> &energies, std::vector<double> &forces, std::array<double, 9> *virial,
                            std::vector<Contact> *contacts)
try {
  Kept &kept = *kept_;
  const at::Device device = kept.model.device;
  const c10::DeviceGuard on_device(device);
  const at::Tensor x = kept.positions_on_device(points);
  const at::Tensor species = kept.species.to_device(points.species, {points.n_rows()}, at::kLong);
  if (is_new) kept.build(points, x, skin);
  kept.limits.species = species;
  const bool wants_densities = is_new && kept.limits.is_watching();
  // Ranks that exchange messages must not repeat a step, or end, by themselves: they wait for their edges first.
  const bool exchanges = exchange != nullptr;
  for (bool whole = false; !whole;) {
    kept.edges = SelectedEdges();    // before there is memory for others
    kept.gradient = at::Tensor();
    kept.edges = select_edges(x, kept.neighbors, kept.sender_of_point, kept.model.info.cutoff, kept.type(),
                              exchanges ? std::nullopt : std::optional(kept.capacity), kept.limits, wants_densities);
    if (exchanges) Kept::check_places(kept.edges.found.cpu());
    at::Tensor energies_of_receivers;
    std::tie(energies_of_receivers, kept.gradient) =
        kept.model.evaluate({kept.edges.vectors, kept.edges.senders, kept.edges.receivers, kept.edges.first_edge,
                             species, points.n_receivers},
                            exchange);
    const at::Tensor sum = virial ? at::zeros({9}, x.options()) : at::Tensor();
    const at::Tensor found_forces = kept.forces.to_host(sum_forces(kept.edges, kept.gradient, points.n_rows(), sum));
    const at::Tensor found_energies = kept.energies.to_host(energies_of_receivers);
    const at::Tensor found_virial = virial ? kept.virial.to_host(sum) : at::Tensor();
    const at::Tensor found = kept.found.to_host(kept.edges.found);
    const at::Tensor densities = wants_densities ? kept.densities.to_host(kept.edges.densities) : at::Tensor();
    wait_for(device);    // the only time in a step
    whole = kept.is_whole(found);
    if (!whole) continue;
    copy_values(found_forces, forces);
    copy_values(found_energies, energies);
    if (contacts) Kept::read_contacts(found, *contacts);
    if (wants_densities) copy_values(densities, kept.densities_of_receivers);
    if (virial) std::memcpy(virial->data(), found_virial.data_ptr(), sizeof(*virial));
  }
  check_energies(energies, points.n_receivers);
} catch (const c10::OutOfMemoryError &error) {    // of the lists; those of the model are said already
  say_what_failed(error.what_without_backtrace(), kept_->model.device, points.n_receivers, kept_->capacity);
} catch (const c10::Error &error) {
  throw std::runtime_error(error.what_without_backtrace());
}

namespace {

void fetch_edges(const SelectedEdges &edges, EdgeList &out)
{
  const int64_t n = edges.found[0].item<int64_t>();
  out.n_edges = n;
  out.n_atoms = edges.first_edge.size(0) - 1;
  copy_values(edges.vectors.slice(0, 0, n), out.vectors);
  copy_values(edges.senders.slice(0, 0, n), out.senders);
  copy_values(edges.receivers.slice(0, 0, n), out.receivers);
}

}    // namespace

void OwnNeighbors::fetch(EdgeList &edges, Evaluation &result) const
{
  fetch_edges(kept_->edges, edges);
  copy_values(kept_->gradient.slice(0, 0, edges.n_edges), result.edge_gradient);
}

void OwnNeighbors::find_edges(const Points &points, EdgeList &edges)
{
  Kept &kept = *kept_;
  const c10::DeviceGuard on_device(kept.model.device);
  const at::Tensor x = kept.positions_on_device(points);
  const at::Tensor rows = kept.rows_on_device(points);
  const double cutoff = kept.model.info.cutoff;
  const Neighbors near = search_neighbors(x, points.n_receivers, cutoff);
  const SelectedEdges found = select_edges(x, near, rows, cutoff, at::kDouble, std::nullopt);
  Kept::check_places(found.found.cpu());
  fetch_edges(found, edges);
  edges.species = points.species;
}

}    // namespace pair_cace
