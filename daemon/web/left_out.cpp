// Instead of the rest of this folder in a program that was built without the page.
#include <stdexcept>

#include "daemon/web/page_server.hpp"

namespace durabled::daemon::web {

bool is_included() {
  return false;
}

int serve(const Options&, const std::function<void(const std::string&)>&) {
  throw std::runtime_error("this durabled was built without the page (-DDURABLED_UI=OFF, or without npm)");
}

}  // namespace durabled::daemon::web
