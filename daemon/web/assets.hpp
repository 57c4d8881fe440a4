// The page's files, embedded at build by cmake/embed_page.cmake.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace durabled::daemon::web {

struct Asset {
  std::string_view name;  // "index.html", "lib/preact.js"
  std::string_view type;
  std::string_view raw, gzip;
};

const std::vector<Asset>& assets();
// Of all of them together: the HASH in assets/HASH/NAME.
std::string_view assets_hash();

}  // namespace durabled::daemon::web
