#include "daemon/cli/patient_store.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "daemon/cli/failure.hpp"

namespace durabled::daemon::cli {

PatientStore::PatientStore(const Invocation& invocation) : invocation_(invocation) {
  reconnect();
}

store::ClientStore& PatientStore::store() {
  if (!store_) reconnect();
  return *store_;
}

void PatientStore::reconnect() {
  store_ = std::make_unique<store::ClientStore>(invocation_.conninfo());
}

void PatientStore::lose(const store::StoreError& error) {
  if (exit_code(error) != ExitCode::kUnreachable) throw error;
  store_.reset();
  if (failures_++ == 0)
    warn(invocation_.json, "the connection is lost; trying again (" + explain(error) + ')');
}

void PatientStore::tell_back() {
  if (failures_ > 0) warn(invocation_.json, "connected again");
  failures_ = 0;
}

bool PatientStore::pause(const std::function<bool()>& stop) {
  using std::chrono::milliseconds;
  constexpr milliseconds kStep{100}, kFirst{200}, kLongest{5'000};
  const milliseconds length = std::min(kLongest, kFirst * (1 << std::min(failures_, 8)));
  for (milliseconds waited{0}; waited < length; waited += kStep) {
    if (stop()) return false;
    std::this_thread::sleep_for(kStep);
  }
  return !stop();
}

}  // namespace durabled::daemon::cli
