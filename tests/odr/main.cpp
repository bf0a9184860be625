// That the translation units of a program agree, whatever each of them includes.
#include <atom/store.hpp>

#include "odr/side.hpp"
#include "support/catch.hpp"

TEST_CASE("an inline atom is one template in all translation units") {
  for (const odr::Side& side : {odr::forward_side(), odr::backward_side(), odr::few_side()}) {
    CHECK(side.visitor_template == &odr::visitor);
    CHECK(side.counter_template == &odr::counter);
  }
  CHECK(atom::find("odr.visitor") == &odr::visitor);
  CHECK(atom::registered().size() == 2);
  CHECK(atom::conflicts().empty());
}

TEST_CASE("types have one layout whatever is included before, with and without NDEBUG") {
  CHECK(odr::forward_side().sizes == odr::make_side().sizes);
  CHECK(odr::backward_side().sizes == odr::make_side().sizes);
  CHECK(odr::few_side().sizes == odr::make_side().sizes);
  CHECK(odr::forward_store_size() == sizeof(atom::AtomStore));
  CHECK(odr::backward_store_size() == sizeof(atom::AtomStore));
}

TEST_CASE("a snapshot made in one translation unit is read and hydrated in another") {
  const atom::Snapshot forward = odr::forward_request();
  const atom::Snapshot backward = odr::backward_request();
  CHECK(odr::backward_side().name_in(forward) == "forward");
  CHECK(odr::forward_side().name_in(backward) == "backward");
  CHECK(odr::few_side().name_in(backward) == "backward");

  atom::AtomStore store;
  CHECK(store.hydrate(forward).ok());
  CHECK(store.use(odr::visitor).value() == odr::Visitor{"forward", 7});
  CHECK(store.use(odr::counter).value() == 42);
}

TEST_CASE("types that a translation unit keeps for itself are not taken for another's of the same name") {
  odr::backward_reads_none_of(odr::forward_secrets());
}

TEST_CASE("whether a type has a codec does not depend on what a translation unit includes") {
  for (const odr::Side& side : {odr::forward_side(), odr::backward_side(), odr::few_side()}) CHECK(side.has_codec());
}

TEST_CASE("what one translation unit writes is heard in another") {
  for (const odr::Side& side : {odr::forward_side(), odr::backward_side(), odr::few_side()}) {
    atom::AtomStore store;
    std::string heard;
    store.use(odr::visitor).watch(&odr::Visitor::name, [&](const std::string& now) { heard = now; });
    side.rename(store.use(*side.visitor_template), "renamed");
    CHECK(heard == "renamed");
    CHECK(store.size() == 1);
  }
}
