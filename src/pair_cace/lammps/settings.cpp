#include "settings.h"

#include "error.h"
#include "utils.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace pair_cace {

using namespace LAMMPS_NS;

namespace {

// The arguments of pair_style, one after the other.
class Arguments {
 public:
  Arguments(LAMMPS *lammps, int narg, char **arg) : lmp(lammps), words_(arg, arg + narg) {}

  bool are_left() const { return next_ < words_.size(); }
  std::string next() { return are_left() ? words_[next_++] : std::string(); }

  LAMMPS *lmp;

 private:
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

// How the values behind a keyword are read, and written again; written as nothing if they say nothing.
struct Keyword {
  std::string name;
  std::function<void(PairSettings &, Arguments &)> read;
  std::function<std::vector<std::string>(const PairSettings &)> values;
};

template <class Value> using Choices = std::vector<std::pair<std::string, Value>>;

template <class Value>
Value chosen(LAMMPS *lmp, const std::string &keyword, const std::string &found, const Choices<Value> &choices)
{
  std::string names;
  for (const auto &[name, value] : choices) {
    if (name == found) return value;
    names += (names.empty() ? "" : name == choices.back().first ? " or " : ", ") + name;
  }
  lmp->error->all(FLERR, "Pair style cace: expected {} after '{}', got '{}'", names, keyword, found);
}

template <class Value>
Keyword choice(const std::string &name, Value PairSettings::*setting, const Choices<Value> &choices)
{
  return {name,
          [=](PairSettings &settings, Arguments &arguments) {
            settings.*setting = chosen(arguments.lmp, name, arguments.next(), choices);
          },
          [=](const PairSettings &settings) {
            for (const auto &[word, value] : choices)
              if (settings.*setting == value) return std::vector<std::string>{word};
            return std::vector<std::string>();
          }};
}

// cpu, cuda, cuda:N or auto.
void read_device(PairSettings &settings, Arguments &arguments)
{
  const std::string word = arguments.next(), prefix = "cuda:";
  if (word.rfind(prefix, 0) == 0 && utils::is_integer(word.substr(prefix.size())) && word[prefix.size()] != '-')
    settings.device = {DeviceKind::cuda, utils::inumeric(FLERR, word.substr(prefix.size()), false, arguments.lmp)};
  else
    settings.device = {chosen<DeviceKind>(arguments.lmp, "device", word,
                                          {{"cpu", DeviceKind::cpu},
                                           {"cuda", DeviceKind::cuda},
                                           {"cuda:N", DeviceKind::cuda},
                                           {"auto", DeviceKind::automatic}})};
}

std::vector<std::string> values_of_device(const PairSettings &settings)
{
  const DeviceChoice device = settings.device;
  if (device.kind == DeviceKind::cpu) return {"cpu"};
  if (device.kind == DeviceKind::automatic) return {"auto"};
  return {device.index < 0 ? "cuda" : "cuda:" + std::to_string(device.index)};
}

void read_deviation(PairSettings &settings, Arguments &arguments)
{
  const std::string every = arguments.next();
  settings.deviation_file = arguments.next();
  // A number of more than nine digits may not fit an int.
  if (!utils::is_integer(every) || every.size() > 9 || std::stoi(every) < 1 || settings.deviation_file.empty())
    arguments.lmp->error->all(FLERR,
                              "Pair style cace: expected 'deviation N file' with N steps of at least 1, got "
                              "'deviation {} {}'",
                              every, settings.deviation_file);
  settings.deviation_every = utils::inumeric(FLERR, every, false, arguments.lmp);
}

std::vector<std::string> values_of_deviation(const PairSettings &settings)
{
  if (settings.deviation_every == 0) return {};
  return {std::to_string(settings.deviation_every), settings.deviation_file};
}

const std::vector<Keyword> &keywords()
{
  static const std::vector<Keyword> all{
      {"device", read_device, values_of_device},
      choice<NeighborChoice>(
          "neighbors", &PairSettings::neighbors,
          {{"own", NeighborChoice::own}, {"lammps", NeighborChoice::lammps}, {"auto", NeighborChoice::automatic}}),
      choice<bool>("extrapolate", &PairSettings::extrapolate, {{"yes", true}, {"no", false}}),
      choice<OutsideChoice>(
          "outside", &PairSettings::outside,
          {{"stop", OutsideChoice::stop}, {"warn", OutsideChoice::warn}, {"ignore", OutsideChoice::ignore}}),
      choice<bool>("committee", &PairSettings::first_drives, {{"mean", false}, {"first", true}}),
      {"deviation", read_deviation, values_of_deviation},
  };
  return all;
}

std::string names_of_keywords()
{
  std::string names;
  for (const Keyword &keyword : keywords())
    names += (&keyword == &keywords().front() ? "" : &keyword == &keywords().back() ? " and " : ", ") + keyword.name;
  return names;
}

}    // namespace

PairSettings read_settings(LAMMPS *lmp, int narg, char **arg)
{
  PairSettings settings;
  Arguments arguments(lmp, narg, arg);
  while (arguments.are_left()) {
    const std::string word = arguments.next();
    const auto keyword =
        std::find_if(keywords().begin(), keywords().end(), [&](const Keyword &known) { return known.name == word; });
    if (keyword == keywords().end())
      lmp->error->all(FLERR, "Pair style cace: expected one of the keywords {}, got '{}'", names_of_keywords(), word);
    keyword->read(settings, arguments);
  }
  return settings;
}

std::vector<std::string> words_of(const PairSettings &settings)
{
  std::vector<std::string> words;
  for (const Keyword &keyword : keywords()) {
    const std::vector<std::string> values = keyword.values(settings);
    if (values.empty()) continue;
    words.push_back(keyword.name);
    words.insert(words.end(), values.begin(), values.end());
  }
  return words;
}

}    // namespace pair_cace
