#include "daemon/web/routes.hpp"

namespace durabled::daemon::web {
namespace {

std::vector<std::string> with_filter(std::vector<std::string> more) {
  more.insert(more.end(), filter_parameters().begin(), filter_parameters().end());
  return more;
}

std::vector<Route> make_routes() {
  using E = Endpoint;
  const std::vector<std::string> acts{"reason", "expect_status"};
  const auto watched = with_filter({"instance", "after", "ids", "newest", "overview"});
  std::vector<Route> all{
      {E::kPage, "GET", {}, {}},
      {E::kAsset, "GET", {"assets", ":hash", ":name"}, {}},
      {E::kAsset, "GET", {"assets", ":hash", ":folder", ":name"}, {}},
      {E::kSession, "POST", {"session"}, {"token", "user", "password"}},
      {E::kSessionEnd, "DELETE", {"session"}, {}},
      {E::kMe, "GET", {"api", "me"}, {}},
      {E::kOverview, "GET", {"api", "overview"}, {}},
      {E::kInstances, "GET", {"api", "instances"}, with_filter({"limit", "cursor"})},
      {E::kInstance, "GET", {"api", "instances", ":id"}, {}},
      {E::kGraph, "GET", {"api", "instances", ":id", "graph"}, {}},
      {E::kHistory,
       "GET",
       {"api", "instances", ":id", "history"},
       {"before", "after", "kinds", "node", "limit"}},
      {E::kEvent, "GET", {"api", "instances", ":id", "history", ":seq"}, {}},
      {E::kNode, "GET", {"api", "instances", ":id", "nodes", ":node"}, {"scope", "before"}},
      {E::kText, "GET", {"api", "instances", ":id", "text"}, {}},
      {E::kSignals, "GET", {"api", "instances", ":id", "signals"}, {}},
      {E::kReruns, "GET", {"api", "instances", ":id", "reruns"}, {}},
      {E::kPayload, "GET", {"api", "instances", ":id", "payload"}, {"part", "seq", "signal", "node"}},
      {E::kWaiting, "GET", {"api", "waiting"}, {"kind", "limit"}},
      {E::kLabel, "GET", {"api", "label"}, {"label"}},
      {E::kLabels, "GET", {"api", "labels"}, {}},
      {E::kWorkers, "GET", {"api", "workers"}, {}},
      {E::kBulk, "POST", {"api", "bulk"}, {"action", "filter", "dry_run", "ids", "reason"}},
      {E::kStream, "GET", {"api", "stream"}, watched},
      {E::kChanges, "GET", {"api", "changes"}, watched},
  };
  for (const char* action : {"cancel", "pause", "resume"})
    all.push_back({E::kAction, "POST", {"api", "instances", ":id", action}, acts});
  all.push_back({E::kAction,
                 "POST",
                 {"api", "instances", ":id", "signal"},
                 {"reason", "expect_status", "name", "data"}});
  all.push_back(
      {E::kAction, "POST", {"api", "instances", ":id", "rerun"}, {"reason", "expect_status", "from_node"}});
  return all;
}

bool fits(const Route& route, const std::vector<std::string>& path,
          std::map<std::string, std::string>& parts) {
  if (route.path.size() != path.size()) return false;
  parts.clear();
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (route.path[i][0] == ':')
      parts[route.path[i].substr(1)] = path[i];
    else if (route.path[i] != path[i])
      return false;
  }
  return true;
}

}  // namespace

const std::vector<std::string>& filter_parameters() {
  static const std::vector<std::string> names{"status", "label", "role",  "database",
                                              "code",   "since", "until", "id"};
  return names;
}

const std::vector<Route>& routes() {
  static const std::vector<Route> all = make_routes();
  return all;
}

Match match(const std::string& method, const std::vector<std::string>& path) {
  Match match;
  std::map<std::string, std::string> parts;
  for (const Route& route : routes()) {
    if (!fits(route, path, parts)) continue;
    Admission& admission = match.admission;
    admission.methods.push_back(route.method);
    admission.is_page = route.endpoint == Endpoint::kPage || route.endpoint == Endpoint::kAsset;
    admission.is_open =
        admission.is_page || route.endpoint == Endpoint::kSession || route.endpoint == Endpoint::kSessionEnd;
    if (route.method != method) continue;
    match.route = &route;
    match.parts = parts;
    admission.is_write = route.endpoint == Endpoint::kAction || route.endpoint == Endpoint::kBulk;
  }
  return match;
}

}  // namespace durabled::daemon::web
