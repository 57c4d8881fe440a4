// Names: a value that shares with its copies.
#include "dsl/value/names.hpp"

#include <map>
#include <random>

#include "tests/support/catch.hpp"

using namespace durabled::dsl;

namespace {

using Plain = std::map<std::string, ResultPtr>;

ResultPtr result(int n) {
  return std::make_shared<const Result>(std::to_string(n));
}

Plain content(const Names& names, const Names& before = {}) {
  Plain all;
  std::string last;
  names.visit_changes(before, [&](const std::string& name, const ResultPtr& bound) {
    CHECK((all.empty() || last < name));
    all[last = name] = bound;
  });
  return all;
}

}  // namespace

TEST_CASE("names do what a map does, and leave their copies alone") {
  std::mt19937 random(7);
  Names names;
  Plain plain;
  std::vector<std::pair<Names, Plain>> copies;
  for (int i = 0; i < 5'000; ++i) {
    const std::string name = "n" + std::to_string(random() % 300);
    if (random() % 3 == 0) {
      names.erase(name);
      plain.erase(name);
    } else {
      const ResultPtr bound = result(i);
      names.bind(name, bound);
      plain[name] = bound;
    }
    CHECK(names.find(name) == (plain.count(name) > 0 ? plain.at(name) : nullptr));
    if (i % 500 == 0) copies.emplace_back(names, plain);
  }
  copies.emplace_back(names, plain);
  for (const auto& [copy, then] : copies) CHECK(content(copy) == then);
  for (const auto& [before, was] : copies) {
    Plain changes;
    for (const auto& [name, bound] : plain) {
      if (const auto old = was.find(name); old == was.end() || old->second != bound) changes[name] = bound;
    }
    CHECK(content(names, before) == changes);
  }
  CHECK(Names().empty());
  CHECK(Names().find("x") == nullptr);
  names = {{"a", result(1)}};
  names.bind("a", nullptr);
  CHECK(names.empty());
}

TEST_CASE("ten thousand copies of ten thousand names, a name more in each, are cheap") {
  Names before;
  for (int i = 0; i < 10'000; ++i) before.bind("name" + std::to_string(i), result(i));
  std::vector<Names> branches(10'000, before);
  for (std::size_t i = 0; i < branches.size(); ++i)
    branches[i].bind("branch" + std::to_string(i), result(static_cast<int>(i)));
  Names all = before;
  std::size_t visited = 0;
  for (const Names& branch : branches) {
    branch.visit_changes(before, [&](const std::string& name, const ResultPtr& bound) {
      ++visited;
      all.bind(name, bound);
    });
  }
  CHECK(visited == branches.size());
  CHECK(content(all).size() == 20'000);
}
