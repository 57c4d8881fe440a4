// Every path that there is, with its method and parameters.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/web/guard.hpp"

namespace durabled::daemon::web {

enum class Endpoint {
  kPage,
  kAsset,
  kSession,
  kSessionEnd,
  kMe,
  kOverview,
  kInstances,
  kInstance,
  kGraph,
  kHistory,
  kEvent,
  kNode,
  kText,
  kSignals,
  kReruns,
  kPayload,
  kWaiting,
  kLabel,
  kLabels,
  kWorkers,
  kAction,
  kBulk,
  kStream,
  kChanges
};

struct Route {
  Endpoint endpoint;
  std::string method;
  std::vector<std::string> path;  // ":name" fits any one part
  std::vector<std::string> parameters;
};

const std::vector<Route>& routes();

struct Match {
  const Route* route = nullptr;  // of this method; nullptr: none
  std::map<std::string, std::string> parts;
  Admission admission;
};

Match match(const std::string& method, const std::vector<std::string>& path);

// The filters of a list.
const std::vector<std::string>& filter_parameters();

}  // namespace durabled::daemon::web
