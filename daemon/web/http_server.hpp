// HTTP in front of a Page: connections, the guard, answers, streams.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "daemon/web/page.hpp"

namespace durabled::daemon::web {

// Listens from the constructor on; serves while the context runs. Errors: std::runtime_error.
class HttpServer {
 public:
  HttpServer(boost::asio::io_context& io, Page& page);
  ~HttpServer();

  int port() const;  // 0 for a Unix socket

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace durabled::daemon::web
