#include "message.h"

#include <ATen/ops/empty_like.h>

namespace pair_cace {

// Messages of one kind; null if a layer has none. That of Ar and M comes first: it sets what others add to.
std::shared_ptr<const Message> message_of_basis(const NamedWeights &weights, const std::string &layer, double norm);

Messages messages_of(const NamedWeights &weights, const std::string &layer, double norm)
{
  Messages found;
  for (const auto &read : {message_of_basis})
    if (auto message = read(weights, layer, norm)) found.push_back(std::move(message));
  return found;
}

namespace {

// Memory of the host for a table of a GPU, which the GPU reads and writes by itself; torch keeps it for the next.
Tensor staging(const Tensor &table)
{
  return at::empty_like(table, table.options().device(at::kCPU).pinned_memory(true));
}

// With the table's numbers as they are.
template <class Use> void with_data(const Tensor &table, const Use &use)
{
  if (table.scalar_type() == at::kFloat) return use(data_of<float>(table));
  use(data_of<double>(table));
}

}    // namespace

void to_ghosts(GhostExchange &exchange, const Tensor &table, int64_t width, int64_t n_atoms)
{
  const auto send = [&](auto *rows) { exchange.to_ghosts(rows, width); };
  if (!table.is_cuda()) return with_data(table, send);
  const Tensor on_host = staging(table);
  on_host.slice(0, 0, n_atoms).copy_(table.slice(0, 0, n_atoms));
  with_data(on_host, send);
  table.slice(0, n_atoms).copy_(on_host.slice(0, n_atoms), /*non_blocking=*/true);
}

void from_ghosts(GhostExchange &exchange, const Tensor &table, int64_t width, int64_t n_atoms)
{
  const auto add = [&](auto *rows) { exchange.from_ghosts(rows, width); };
  if (!table.is_cuda()) return with_data(table, add);
  const Tensor on_host = staging(table);
  on_host.slice(0, 0, n_atoms).zero_();
  on_host.slice(0, n_atoms).copy_(table.slice(0, n_atoms));
  with_data(on_host, add);
  const Tensor sums = on_host.slice(0, 0, n_atoms).to(table.device(), /*non_blocking=*/true);
  table.slice(0, 0, n_atoms).add_(sums);
}

}    // namespace pair_cace
