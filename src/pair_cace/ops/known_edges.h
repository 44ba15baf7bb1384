// What whoever made the edges knows of them already, and operations need not look up again: on a GPU, looking
// means waiting for it.
#pragma once

#include <ATen/core/Tensor.h>

namespace pair_cace {

struct KnownEdges {
  at::Tensor senders, receivers;    // (E,) int64, within the range of the atoms
  at::Tensor first_edge;            // (N + 1,) int64: those of receiver i are first_edge[i] … first_edge[i + 1] − 1
};

// Operations that this thread runs on just these tensors take it as given, as long as this lives.
class [[gnu::visibility("default")]] UseKnownEdges {
 public:
  explicit UseKnownEdges(KnownEdges known);
  ~UseKnownEdges();
  UseKnownEdges(const UseKnownEdges &) = delete;
  UseKnownEdges &operator=(const UseKnownEdges &) = delete;

 private:
  KnownEdges known_;
  const KnownEdges *before_;
};

}    // namespace pair_cace
