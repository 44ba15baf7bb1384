#include "loaded_model.h"
#include "model_format.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace pair_cace {

namespace {

std::string text_of(const torch::jit::ExtraFilesMap &files, const char *key, const std::string &path)
{
  const std::string &text = files.at(key);
  if (text.empty())
    throw std::runtime_error("expected a model written by `cace export`, but " + path +
                             " is a TorchScript file without '" + key +
                             "'; make one with `cace export CHECKPOINT -o model.pt`");
  return text;
}

template <class Number> Number number_of(const std::string &text, const char *key)
{
  Number value{};
  std::istringstream stream(text);
  if (!(stream >> value))
    throw std::runtime_error(std::string("expected a number in '") + key + "' of the model, got '" + text +
                             "'; export the model again");
  return value;
}

at::Device pick_device(DeviceChoice choice, int rank_on_machine)
{
  const int n_gpus = at::hasCUDA() ? static_cast<int>(at::getNumGPUs()) : 0;
  if (choice.kind == DeviceKind::cpu || (choice.kind == DeviceKind::automatic && n_gpus == 0))
    return at::Device(at::kCPU);
  if (n_gpus == 0)
    throw std::runtime_error("expected a CUDA device because of 'device cuda', but this libtorch "
                             "sees none; use 'device cpu' or 'device auto', or install a CUDA "
                             "build of torch and check nvidia-smi and CUDA_VISIBLE_DEVICES");
  if (choice.index >= n_gpus)
    throw std::runtime_error("expected a CUDA device from cuda:0 to cuda:" + std::to_string(n_gpus - 1) +
                             ", got 'device cuda:" + std::to_string(choice.index) +
                             "'; check nvidia-smi and CUDA_VISIBLE_DEVICES");
  const int index = choice.index >= 0 ? choice.index : rank_on_machine % n_gpus;
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

torch::jit::Module load(const std::string &path, at::Device device, torch::jit::ExtraFilesMap &files)
{
  if (!std::ifstream(path))
    throw std::runtime_error("cannot open the model file " + path + "; check the name and the folder LAMMPS runs in");
  try {
    return torch::jit::load(path, device, files);
  } catch (const c10::Error &) {
    throw std::runtime_error("expected a model written by `cace export`, but " + path +
                             " is not a readable TorchScript file. `cace info FILE` tells what it is: a published "
                             "model goes through `cace convert` and `cace export`, a checkpoint through `cace export`; "
                             "a file cut short must be copied again");
  }
}

}    // namespace

ExportedModel::ExportedModel(const std::string &path, DeviceChoice choice, int rank_on_machine)
{
  const at::Device device = pick_device(choice, rank_on_machine);
  torch::jit::ExtraFilesMap files{{"format_version", ""}, {"cutoff", ""},           {"elements", ""},
                                  {"n_layers", ""},       {"values_per_ghost", ""}, {"n_descriptors", ""},
                                  {"portable", ""},       {"has_kernels", ""},      {"outputs", ""},
                                  {"dtype", ""},          {"training_extent", ""}};
  torch::jit::Module module = load(path, device, files);

  const int version = number_of<int>(text_of(files, "format_version", path), "format_version");
  if (version != model_format_version)
    throw std::runtime_error("expected format " + std::to_string(model_format_version) + " in " + path +
                             ", got format " + std::to_string(version) +
                             "; export the model with the pair_cace version that built this "
                             "plugin, or update the plugin");
  ModelInfo info;
  info.cutoff = number_of<double>(text_of(files, "cutoff", path), "cutoff");
  info.n_layers = number_of<int>(text_of(files, "n_layers", path), "n_layers");
  info.values_per_ghost = number_of<int>(text_of(files, "values_per_ghost", path), "values_per_ghost");
  info.n_descriptors = number_of<int>(text_of(files, "n_descriptors", path), "n_descriptors");
  info.portable = text_of(files, "portable", path) == "yes";
  info.has_kernels = !info.portable && files.at("has_kernels") != "no";    // older files do not say
  info.dtype = text_of(files, "dtype", path);
  std::istringstream symbols(text_of(files, "elements", path));
  for (std::string symbol; symbols >> symbol;) info.elements.push_back(symbol);
  std::istringstream outputs(files.at("outputs"));
  for (std::string line; std::getline(outputs, line);)
    if (const std::string name = line.substr(0, line.find(' ')); !name.empty()) info.outputs.push_back(name);
  info.trained_on = read_training_extent(files.at("training_extent"));
  info.device = device.str();
  info.is_on_gpu = device.is_cuda();
  info.threads = at::get_num_threads();

  module.eval();
  loaded_ = std::make_unique<Loaded>(Loaded{std::move(info), device, std::move(module), std::nullopt});
  if (!loaded_->info.has_kernels) return;
  try {
    const NamedWeights weights(loaded_->module);
    if (!has_kernels(weights)) return;
    loaded_->potential.emplace(weights);
    int &width = loaded_->info.values_per_ghost;
    width = std::max(width, static_cast<int>(loaded_->potential->values_per_ghost()));
  } catch (const c10::Error &error) {
    throw std::runtime_error("the weights in " + path + " do not make a model (" + error.what_without_backtrace() +
                             "); export it again");
  }
}

ExportedModel::~ExportedModel() = default;

const ModelInfo &ExportedModel::info() const
{
  return loaded_->info;
}

void say_what_failed(const std::string &text, at::Device device, int64_t n_atoms, int64_t n_edges)
{
  if (const std::size_t at = text.find("out of memory"); at != std::string::npos && device.is_cuda()) {
    // Torch says how much it asked for, and how much there is.
    const std::size_t asked = text.find("Tried to allocate", at), from = asked != std::string::npos ? asked : at;
    const std::string first_sentences = text.substr(from, std::min(text.find('\n', from), from + 300) - from);
    throw std::runtime_error(
        "the memory of " + device.str() + " is too small for the " + std::to_string(n_atoms) + " atoms and " +
        std::to_string(n_edges) + " edges of this MPI rank (" + first_sentences +
        "); use more GPUs, with an MPI rank for each, a model exported with --dtype float32, or fewer atoms, and see "
        "with nvidia-smi who else is on the GPU");
  }
  throw std::runtime_error("the model could not be evaluated: " + text);
}

namespace {

// What `use` returns; errors say what to do.
template <class Use> auto explaining_errors(at::Device device, const EdgeTensors &edges, const Use &use)
{
  try {
    return use();
  } catch (const c10::Error &error) {
    say_what_failed(error.what_without_backtrace(), device, edges.n_atoms, edges.senders.size(0));
  } catch (const std::exception &error) {    // the interpreter makes them of others
    say_what_failed(error.what(), device, edges.n_atoms, edges.senders.size(0));
  }
}

}    // namespace

c10::IValue ExportedModel::Loaded::call(const char *method, const EdgeTensors &edges, GhostExchange *exchange) const
{
  // The profiling executor would spend the first steps of a run on optimising a graph that is run
  // by library kernels anyway; interpret it.
  torch::jit::GraphOptimizerEnabledGuard interpret(false);
  for (torch::jit::Module layer : module.attr("layers").toModule().children())
    if (layer.hasattr("exchange")) layer.setattr("exchange", exchange ? exchange->handle() : int64_t(0));
  return module.get_method(method)({edges.vectors, edges.senders, edges.receivers, edges.species, edges.n_atoms});
}

std::tuple<at::Tensor, at::Tensor> ExportedModel::Loaded::evaluate(const EdgeTensors &edges,
                                                                   GhostExchange *exchange) const
{
  return explaining_errors(device, edges, [&]() -> std::tuple<at::Tensor, at::Tensor> {
    if (potential) return potential->evaluate(edges, exchange);
    const auto found = call("evaluate", edges, exchange).toTuple();
    return {found->elements()[0].toTensor(), found->elements()[1].toTensor()};
  });
}

at::Tensor ExportedModel::Loaded::features(const EdgeTensors &edges, GhostExchange *exchange) const
{
  c10::InferenceMode no_derivatives;
  return explaining_errors(device, edges, [&] {
    return potential ? potential->features(edges, exchange) : call("features", edges, exchange).toTensor();
  });
}

at::Tensor ExportedModel::Loaded::outputs(const EdgeTensors &edges, GhostExchange *exchange,
                                          const std::vector<std::string> &names) const
{
  c10::InferenceMode no_derivatives;
  return explaining_errors(device, edges, [&] {
    const auto found = call("atom_outputs", edges, exchange).toGenericDict();
    std::vector<at::Tensor> columns;
    for (const std::string &name : names) columns.push_back(found.at(name).toTensor());
    return at::stack(columns, 1);
  });
}

namespace {

// An edge list on a device; on the host the tensors borrow its memory.
EdgeTensors tensors_of(const EdgeList &edges, at::Device device)
{
  const auto on_device = [&](const auto &values, at::IntArrayRef shape, at::ScalarType type) {
    // from_blob borrows; the model only reads its inputs.
    auto *data = const_cast<void *>(static_cast<const void *>(values.data()));
    return torch::from_blob(data, shape, type).to(device);
  };
  return {
      on_device(edges.vectors, {edges.n_edges, 3}, at::kDouble), on_device(edges.senders, {edges.n_edges}, at::kLong),
      on_device(edges.receivers, {edges.n_edges}, at::kLong),    {},
      on_device(edges.species, {edges.n_rows()}, at::kLong),     edges.n_atoms};
}

}    // namespace

void ExportedModel::evaluate(const EdgeList &edges, GhostExchange *exchange, Evaluation &out) const
{
  const auto [energies, gradient] = loaded_->evaluate(tensors_of(edges, loaded_->device), exchange);
  copy_values(energies, out.energies);
  copy_values(gradient, out.edge_gradient);
  check_energies(out.energies, edges.n_atoms);
}

void ExportedModel::describe(const EdgeList &edges, GhostExchange *exchange, std::vector<double> &out) const
{
  copy_values(loaded_->features(tensors_of(edges, loaded_->device), exchange), out);
}

void ExportedModel::predict(const EdgeList &edges, GhostExchange *exchange, const std::vector<std::string> &names,
                            std::vector<double> &out) const
{
  copy_values(loaded_->outputs(tensors_of(edges, loaded_->device), exchange, names), out);
  for (int64_t k = 0; k < edges.n_atoms * std::ssize(names); ++k)
    if (!std::isfinite(out[k]))
      throw std::runtime_error("expected finite values of " + names[k % names.size()] + ", got " +
                               std::to_string(out[k]) + "; the simulation has left the range of the model");
}

void check_energies(const std::vector<double> &energies, int64_t n_atoms)
{
  for (int64_t i = 0; i < n_atoms; ++i)
    if (!std::isfinite(energies[i]))
      throw std::runtime_error("expected finite energies, got " + std::to_string(energies[i]) +
                               "; the simulation has left the range of the model: look at the last frames for atoms "
                               "too close to each other, then try a smaller timestep or minimise first");
}

}    // namespace pair_cace
