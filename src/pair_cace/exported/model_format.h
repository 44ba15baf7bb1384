// The file that `cace export` writes and the pair style reads: a TorchScript archive whose graph
// has CACE.forward and CACE.evaluate (python/pair_cace/nn/model.py), whose weights have the names that they have there
// (the pair style reads them, see ops/named_weights.h), and whose extra files hold, as plain text,
//
//   format_version   the number below
//   cutoff           Å
//   elements         chemical symbols the model was trained on, separated by spaces
//   n_layers         message-passing layers T
//   values_per_ghost the most that an atom tells its neighbours between two layers; 0 if T = 0
//   n_descriptors    invariants of an atom, of all layers
//   portable         yes | no: whether the graph does without the operations of src/pair_cace/ops
//   has_kernels      yes | no: whether the kernels of src/pair_cace/ops know all terms of the model; files that do not say
//                    have no others
//   dtype            float32 | float64, the precision of the weights
//   length_unit, energy_unit            Å and eV, always
//   E0, hyperparameters, provenance     JSON, for people and for Python
//   outputs          a line "NAME UNIT" or "NAME" for every output that CACE.atom_outputs gives; absent without them
//   training_extent  what the model was trained on, line by line, see training_extent.h; files without it, or where it
//                    is empty, do not know
//   training         the same and errors on validation and test data as JSON, for people and for Python
#pragma once

namespace pair_cace {

// Raised by one whenever a file written before cannot be read as it stands.
constexpr int model_format_version = 3;

}    // namespace pair_cace
