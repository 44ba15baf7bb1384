// torch.classes.pair_cace.Potential: a model for Python, by the door that the pair style uses.

#include "loaded_potential.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/custom_class.h>
#include <torch/library.h>

namespace {

using namespace pair_cace;

struct PotentialOfPython : torch::CustomClassHolder {
  explicit PotentialOfPython(const c10::Dict<std::string, Tensor> &weights) : potential(NamedWeights(weights)) {}

  // Energies and gradient as those of CACE.evaluate in python/pair_cace/nn/model.py; without a graph.
  std::tuple<Tensor, Tensor> evaluate(const Tensor &vectors, const Tensor &senders, const Tensor &receivers,
                                      const Tensor &species, int64_t n_atoms) const
  {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return potential.evaluate(
        {vectors.detach(), senders.contiguous(), receivers.contiguous(), {}, species.contiguous(), n_atoms}, nullptr);
  }

  LoadedPotential potential;
};

}    // namespace

TORCH_LIBRARY_FRAGMENT(pair_cace, library)
{
  library.class_<PotentialOfPython>("Potential")
      .def(torch::init<const c10::Dict<std::string, Tensor> &>())
      .def("evaluate", &PotentialOfPython::evaluate);

  // Exported files of format 3 name this operation. Nobody calls it: the door above takes their weights.
  library.def("evaluate(Tensor vectors, Tensor senders, Tensor receivers, Tensor sender, "
              "Tensor receiver, Tensor frequencies, Tensor mixing, Tensor[] readout, Tensor[] linear, "
              "Tensor[] networks, Tensor[] amplitudes, Tensor[] decays, Tensor[] memories, "
              "int n_layers, float prefactor, float cutoff, int exponent, "
              "int nu_max, int n_degrees, float norm, int n_atoms) -> (Tensor, Tensor)");
}
