// A model written by `cace export`, loaded through libtorch. Includes no torch header, so that
// neither LAMMPS glue nor its compile time knows about torch.
#pragma once

#include "edge_list.h"
#include "training_extent.h"

#include <memory>
#include <string>
#include <vector>

namespace pair_cace {

class GhostExchange;

struct ModelInfo {
  double cutoff = 0.0;                  // Å
  int n_layers = 0;                     // message-passing layers T
  int values_per_ghost = 0;             // the most that one message of an atom holds
  int n_descriptors = 0;                // invariants of an atom
  bool portable = false;                // written with --portable: exchanges no messages
  bool has_kernels = true;              // the compiled kernels know all of its terms
  std::vector<std::string> elements;    // chemical symbols the model was trained on
  std::string dtype;                    // float32 | float64
  std::vector<std::string> outputs;     // names of what it predicts of every atom besides energies
  TrainingExtent trained_on;
  std::string device;    // "cpu", "cuda:0"
  bool is_on_gpu = false;
  int threads = 1;    // intra-op threads of torch
};

enum class DeviceKind { cpu, cuda, automatic };

struct DeviceChoice {
  DeviceKind kind = DeviceKind::automatic;
  int index = -1;    // of the GPU; negative: ranks of one machine take them in turn

  bool operator==(const DeviceChoice &) const = default;
};

class ExportedModel {
 public:
  // Throws std::runtime_error, with what was expected and what to do, if the file cannot be read,
  // is not an exported model, has another format version, or the device is not there.
  // `rank_on_machine` counts the MPI ranks that may use the GPUs of this machine.
  ExportedModel(const std::string &path, DeviceChoice choice, int rank_on_machine);
  ~ExportedModel();

  const ModelInfo &info() const;

  // Energies and edge gradients of the list; reuses the memory of `out`. `exchange` tells messages to ghosts; null: there
  // are none. Throws std::runtime_error if the model fails or an energy is not finite.
  void evaluate(const EdgeList &edges, GhostExchange *exchange, Evaluation &out) const;

  // Invariants of the receivers, (n_atoms, n_descriptors): (n_radial, N_B, C, T+1) with the last fastest.
  // Throws std::runtime_error if the model fails.
  void describe(const EdgeList &edges, GhostExchange *exchange, std::vector<double> &out) const;

  // The named outputs of the receivers, (n_atoms, names). Throws std::runtime_error if the model fails or a value is not
  // finite.
  void predict(const EdgeList &edges, GhostExchange *exchange, const std::vector<std::string> &names,
               std::vector<double> &out) const;

  struct Loaded;    // loaded_model.h
  const Loaded &loaded() const { return *loaded_; }

 private:
  std::unique_ptr<Loaded> loaded_;
};

}    // namespace pair_cace
