#include "daemon/web/guard.hpp"

#include <algorithm>

namespace durabled::daemon::web {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

std::optional<Refused> refuse_method(const Asked& asked, const Admission& admission) {
  if (admission.methods.empty()) return not_found();
  if (!contains(admission.methods, asked.method))
    return Refused(405, "bad_method", "this path has no such method");
  if (!is_unsafe(asked.method)) return std::nullopt;
  // A form of another site cannot send this type without asking first.
  const std::string type = lower(asked.content_type.value_or(""));
  if (type != "application/json" && type.rfind("application/json;", 0) != 0)
    return Refused(415, "bad_content_type", "Content-Type must be application/json");
  return std::nullopt;
}

bool is_own_origin(const std::string& origin, const std::string& host) {
  const std::string given = lower(origin);
  return given == "http://" + host || given == "https://" + host;
}

// A browser says where a request comes from; a program that is no browser gives Origin.
std::optional<Refused> refuse_site(const Asked& asked, const Admission& admission) {
  if (admission.is_page) return std::nullopt;
  const Refused foreign(403, "forbidden", "this request comes from another site");
  if (asked.origin && !is_own_origin(*asked.origin, lower(asked.hosts[0]))) return foreign;
  if (asked.fetch_site) {
    const std::string site = lower(*asked.fetch_site);
    const bool by_hand = site == "none" && !is_unsafe(asked.method);  // typed into the address bar
    if (site != "same-origin" && !by_hand) return foreign;
  } else if (!asked.origin && is_unsafe(asked.method)) {
    return Refused(403, "forbidden", "Sec-Fetch-Site or Origin is missing");
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refused> refuse_host(const Asked& asked, const Places& places) {
  if (!asked.from_allowed_peer)
    return Refused(403, "forbidden", "only the proxy in front of this may connect to it");
  // Otherwise a name of another site that leads to this address would be read as this site.
  if (asked.hosts.size() != 1 || !contains(places.hosts, lower(asked.hosts[0])))
    return Refused(403, "bad_host", "this is not the name of this server", "",
                   "Add the name that people use with --host NAME.");
  return std::nullopt;
}

std::optional<Refused> refuse(const Asked& asked, const Admission& admission, const Places& places) {
  if (auto refused = refuse_host(asked, places)) return refused;
  if (!admission.is_open && !asked.has_session)
    return Refused(401, "no_session", "there is no session, or it has ended");
  if (auto refused = refuse_method(asked, admission)) return refused;
  if (auto refused = refuse_site(asked, admission)) return refused;
  if (asked.content_length.value_or(0) > kMostBody)
    return Refused(413, "too_large", "a body has at most 1 MiB");
  if (!is_unsafe(asked.method) && asked.content_length.value_or(0) > 0)
    return Refused(400, "bad_request", "this method takes no body");
  if (admission.is_write && places.read_only)
    return Refused(403, "read_only", "this page was started with --read-only");
  return std::nullopt;
}

}  // namespace durabled::daemon::web
