// The one guard in front of every route: page, session, API, streams and downloads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/web/reply.hpp"

namespace durabled::daemon::web {

constexpr std::uint64_t kMostHead = 64 << 10, kMostBody = 1 << 20;

// What a request's head says, as far as the guard looks at it.
struct Asked {
  std::string method;
  std::vector<std::string> hosts;  // each Host header
  std::optional<std::string> content_type, fetch_site, origin;
  std::optional<std::uint64_t> content_length;
  bool from_allowed_peer = true;  // where only a proxy may connect: it is that
  bool has_session = false;
};

// What the path allows.
struct Admission {
  std::vector<std::string> methods;  // empty: there is no such path
  bool is_open = false;              // no session is needed
  bool is_page = false;              // other sites may link to it
  bool is_write = false;
};

struct Places {
  std::vector<std::string> hosts;  // in lower case, with port where it is not the scheme's own
  bool read_only = false;
};

// The first step, before anything is looked up for the request.
std::optional<Refused> refuse_host(const Asked& asked, const Places& places);

// In this order: peer and Host, session, method and content type, site, size, --read-only. nullopt: it may pass.
std::optional<Refused> refuse(const Asked& asked, const Admission& admission, const Places& places);

inline bool is_unsafe(const std::string& method) {
  return method != "GET";
}

}  // namespace durabled::daemon::web
