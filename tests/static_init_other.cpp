#include "static_init.hpp"

#include <atom/store.hpp>

#include <string>

namespace {

atom::AtomStore store;
const int count_at_start = store.use(static_init::count).value();
const std::string text_at_start = store.use(static_init::text).value();

}  // namespace

namespace static_init {

int other_count() {
  return count_at_start;
}
const std::string& other_text() {
  return text_at_start;
}
const atom::Atom<std::string>* other_template() {
  return &static_init::text;
}

}  // namespace static_init
