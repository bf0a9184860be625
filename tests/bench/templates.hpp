// Templates by the thousand, for measuring what their number costs.
#pragma once

#include <atom/atom.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace bench {

using Templates = std::vector<std::unique_ptr<const atom::Atom<int>>>;

/// At least `count` templates of numbers. They are made when first asked for, and stay.
inline const Templates& templates(std::size_t count) {
  static Templates& all = *new Templates;
  while (all.size() < count) {
    const int number = static_cast<int>(all.size());
    all.push_back(std::make_unique<const atom::Atom<int>>("bench.number." + std::to_string(number), number));
  }
  return all;
}

/// `count` of the first `among` templates, evenly spread over them.
inline std::vector<const atom::Atom<int>*> some_templates(std::size_t count, std::size_t among) {
  const Templates& all = templates(among);
  std::vector<const atom::Atom<int>*> some;
  for (std::size_t i = 0; i < count; ++i) some.push_back(all[i * among / count].get());
  return some;
}

}  // namespace bench
