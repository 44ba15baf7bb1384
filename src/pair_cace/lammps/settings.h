// The keywords of `pair_style cace`. A new one is a row of the table in settings.cpp, and whoever asks for it.
#pragma once

#include "exported/exported_model.h"
#include "outside_training.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {
class LAMMPS;
}

namespace pair_cace {

enum class NeighborChoice { own, lammps, automatic };

struct PairSettings {
  DeviceChoice device;
  NeighborChoice neighbors = NeighborChoice::automatic;    // whose lists: on a GPU our own, otherwise LAMMPS'
  bool extrapolate = false;                                // to elements between two that the model was trained on
  bool first_drives = false;                               // of a committee: its first model, otherwise the mean
  int deviation_every = 0;                                 // steps; 0: no file
  std::string deviation_file;
  OutsideChoice outside = OutsideChoice::warn;    // of what the models were trained on
};

// error->all on unknown keywords and values.
PairSettings read_settings(LAMMPS_NS::LAMMPS *lmp, int narg, char **arg);

// The keywords that give these settings, as restart files keep them.
std::vector<std::string> words_of(const PairSettings &settings);

}    // namespace pair_cace
