// Messages that are computed between two layers, from A. (Those that weigh edges, Bchi, are a part of the layers
// themselves, see kernels/layer.h.)
#pragma once

#include "ghost_exchange.h"
#include "named_weights.h"

#include <memory>

namespace pair_cace {

struct ModelWeights;
struct Surroundings;

// What a message finds between layers t and t + 1. All tensors are there, and of the precision of the model.
struct BetweenLayers {
  const ModelWeights &model;
  const Surroundings &atoms;
  GhostExchange *exchange = nullptr;    // null: no ghosts
  const GroupedEdges *by_receiver = nullptr;
  const GroupedEdges *by_sender = nullptr;    // on the way back, for messages that travel
  Tensor basis;                               // A of layer t, (N, n_radial, N_l, C); rows from n_atoms on: ghosts
  Tensor message;                             // (n_atoms, n_radial, N_l, C) is added to A of layer t + 1
  Tensor grad_message;                        // ∂E/∂message
  Tensor grad_basis, grad_vectors;            // results of the way back; vectors are added to
  bool adds = false;                          // to what is in message, or grad_basis
};

class [[gnu::visibility("default")]] Message {
 public:
  virtual ~Message() = default;
  virtual void check(const ModelWeights &model) const = 0;    // raises c10::Error unless its weights fit the model
  virtual bool travels() const = 0;                           // from senders to receivers
  virtual void send(const BetweenLayers &layers) const = 0;
  virtual void bring_back(const BetweenLayers &layers) const = 0;
};

// Of one layer, "layers.0" for example; `norm` is 1/sqrt(avg_num_neighbors).
using Messages = std::vector<std::shared_ptr<const Message>>;
Messages messages_of(const NamedWeights &weights, const std::string &layer, double norm);

// Rows of n_atoms atoms of a contiguous table go to their ghosts, which are behind them, and the gradients of ghosts are
// added to those of their owners. Of a table on a GPU only the rows that are needed travel to the host.
void to_ghosts(GhostExchange &exchange, const Tensor &table, int64_t n_atoms);
void from_ghosts(GhostExchange &exchange, const Tensor &table, int64_t n_atoms);

}    // namespace pair_cace
