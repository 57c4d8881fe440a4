// libcurl as a whole, which is to be set up before the first thread uses it.
#pragma once

#include <curl/curl.h>

#include "dsl/assert.hpp"

namespace durabled::daemon {

inline void initialize_curl_once() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_ALL);
  DURABLED_ASSERT(code == CURLE_OK);
}

}  // namespace durabled::daemon
