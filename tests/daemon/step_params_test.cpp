// With what a step's session logs in.
#include <algorithm>

#include "store/conninfo.hpp"
#include "tests/support/catch.hpp"

using namespace durabled;

namespace {

// Whether any of the parameters holds this text, as a value of its own or within a connection string.
bool holds(const store::ConnectParams& params, const std::string& text) {
  return std::any_of(params.begin(), params.end(),
                     [&](const auto& param) { return param.second.find(text) != std::string::npos; });
}

store::ConnectParams params_of(const std::string& base, const std::string& login, const std::string& extra) {
  return store::step_params(base, {login, "app"}, login, "durabled", extra, false, std::chrono::seconds{15});
}

}  // namespace

TEST_CASE("the daemon's own password is sent for its own role only") {
  for (const std::string base :
       {"postgresql://durabled:s3cret@db1/app", "host=db1 user=durabled password=s3cret"}) {
    INFO(base);
    CHECK(holds(params_of(base, "durabled", ""), "s3cret"));
    CHECK_FALSE(holds(params_of(base, "alice", ""), "s3cret"));
    CHECK(holds(params_of(base, "alice", ""), "db1"));
    CHECK(holds(params_of(base, "alice", "password=hers"), "hers"));
  }
}
