// The file that `cace export` writes and the pair style reads: a TorchScript archive whose graph
// has CACE.forward and CACE.evaluate (python/pair_cace/nn/model.py) and whose extra files hold, as plain text,
//
//   format_version   the number below
//   cutoff           Å
//   elements         chemical symbols the model was trained on, separated by spaces
//   n_layers         message-passing layers T
//   dtype            float32 | float64, the precision of the weights
//   length_unit, energy_unit            Å and eV, always
//   E0, hyperparameters, provenance     JSON, for people and for Python
#pragma once

namespace pair_cace {

// Raised by one whenever a file written before cannot be read as it stands.
constexpr int model_format_version = 2;

}    // namespace pair_cace
