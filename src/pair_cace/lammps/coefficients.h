// The arguments of the pair_coeff of `pair_style cace`, and the models that they name.
#pragma once

#include "exported/exported_model.h"

#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {
class LAMMPS;
}

namespace pair_cace {

// Words as LAMMPS takes them.
std::vector<char *> pointers(std::vector<std::string> &words);

struct PairCoefficients {
  std::vector<std::string> paths;       // of the models
  std::vector<std::string> elements;    // by type, from type 1 on; NULL: not treated
};

// From the arguments behind the two asterisks: files first, then elements. error->all unless there is an
// element for every type.
PairCoefficients read_coefficients(LAMMPS_NS::LAMMPS *lmp, int narg, char **arg);

// On all ranks; or, on all of them, none and a problem: text that goes on from the name of the pair style.
std::vector<std::unique_ptr<ExportedModel>> load_models(LAMMPS_NS::LAMMPS *lmp, const std::vector<std::string> &paths,
                                                        DeviceChoice device, std::string &problem);

// By type, [0] unused, 0 where the elements say NULL. error->all on elements that the model does not know.
std::vector<int> atomic_numbers_of_types(LAMMPS_NS::LAMMPS *lmp, const PairCoefficients &coefficients,
                                         const std::vector<std::unique_ptr<ExportedModel>> &models, bool extrapolate);

// One block that says what runs and where.
void log_models(LAMMPS_NS::LAMMPS *lmp, const PairCoefficients &coefficients,
                const std::vector<std::unique_ptr<ExportedModel>> &models);

}    // namespace pair_cace
