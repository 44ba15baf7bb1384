// torch.ops.pair_cace.evaluate: potential.h for weights that are given with every call, as training has them. It has no
// derivative: it is one.

#include "potential.h"

#include <torch/library.h>

#include <tuple>
#include <utility>

namespace {

using namespace pair_cace;

Tensors contiguous(at::TensorList list)
{
  Tensors result;
  for (const Tensor &tensor : list) result.push_back(tensor.contiguous());
  return result;
}

std::tuple<Tensor, Tensor> evaluate(const Tensor &vectors, const Tensor &senders, const Tensor &receivers,
                                    const Tensor &sender, const Tensor &receiver, const Tensor &frequencies,
                                    const Tensor &mixing, at::TensorList readout, at::TensorList linear,
                                    at::TensorList networks, at::TensorList amplitudes, at::TensorList decays,
                                    at::TensorList memories, int64_t n_layers, double prefactor, double cutoff,
                                    int64_t exponent, int64_t nu_max, int64_t n_degrees, double norm, int64_t n_atoms)
{
  TORCH_CHECK(mixing.dim() == 4 && frequencies.dim() == 1 && sender.dim() == 2 && receiver.dim() == 2 &&
                  receiver.size(0) == n_atoms,
              "evaluate: expected embeddings (N, K) and (", n_atoms,
              ", K), frequencies (n_rbf,) and mixing (L+1, n_rbf, "
              "n_radial, C), got shapes ",
              sender.sizes(), ", ", receiver.sizes(), ", ", frequencies.sizes(), " and ", mixing.sizes());
  ModelWeights model;
  model.basis = {static_cast<int>(mixing.size(0) - 1), static_cast<int>(frequencies.size(0)), cutoff,
                 static_cast<int>(exponent), prefactor};
  model.n_basis = sender.size(1);
  model.frequencies = frequencies.contiguous();
  model.mixing = mixing.contiguous();
  model.readout = contiguous(readout);
  model.linear = contiguous(linear);
  model.nu_max = nu_max;
  model.n_degrees = n_degrees;
  model.norm = norm;
  TORCH_CHECK(amplitudes.size() == decays.size(), "evaluate: expected as many amplitudes as decays, got ",
              amplitudes.size(), " and ", decays.size());
  for (int64_t t = 0; t < n_layers; ++t) {
    MessageWeights message;
    const size_t size = networks.size() / n_layers;
    message.network = contiguous(networks.slice(t * size, size));
    for (auto [list, tensor] :
         {std::pair{amplitudes, &message.amplitude}, {decays, &message.decay}, {memories, &message.memory}}) {
      TORCH_CHECK(list.empty() || list.size() == static_cast<size_t>(n_layers),
                  "evaluate: expected tensors for none or all of ", n_layers, " layers, got ", list.size());
      if (!list.empty()) *tensor = list[t].contiguous();
    }
    model.messages.push_back(std::move(message));
  }
  const Surroundings atoms{vectors.contiguous(), senders.contiguous(), receivers.contiguous(), {},
                           sender.contiguous(),  receiver.contiguous()};
  return Potential::with(model)->evaluate(atoms, nullptr);
}

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.def("evaluate(Tensor vectors, Tensor senders, Tensor receivers, Tensor sender, "
              "Tensor receiver, Tensor frequencies, Tensor mixing, Tensor[] readout, Tensor[] linear, "
              "Tensor[] networks, Tensor[] amplitudes, Tensor[] decays, Tensor[] memories, "
              "int n_layers, float prefactor, float cutoff, int exponent, "
              "int nu_max, int n_degrees, float norm, int n_atoms) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(pair_cace, CPU, library)
{
  library.impl("evaluate", evaluate);
}

// Results never require a gradient, whatever the inputs do.
TORCH_LIBRARY_IMPL(pair_cace, AutogradCPU, library)
{
  library.impl("evaluate", evaluate);
}

TORCH_LIBRARY_IMPL(pair_cace, CUDA, library)
{
  library.impl("evaluate", evaluate);
}

TORCH_LIBRARY_IMPL(pair_cace, AutogradCUDA, library)
{
  library.impl("evaluate", evaluate);
}
