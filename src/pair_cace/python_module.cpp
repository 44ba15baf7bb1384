// pair_cace._core: what this build was compiled against. Free of torch, so that Python can look
// before it loads anything whose ABI might not fit.

#include "exported/model_format.h"

#include <pybind11/pybind11.h>

PYBIND11_MODULE(_core, module)
{
  module.doc() = "Build information of pair_cace.";
  module.attr("version") = PAIR_CACE_VERSION;
  module.attr("torch_version") = PAIR_CACE_TORCH_VERSION;
  module.attr("lammps_version") = PAIR_CACE_LAMMPS_VERSION;
  module.attr("model_format_version") = pair_cace::model_format_version;
}
