// The HTTP listener for monitoring, on the event loop's thread, so that an answer shows that the loop is alive:
//
//   GET /metrics   Prometheus' text format
//   GET /healthz   200: the process and its loop are alive. Never asks the database: an outage of that is no reason to
//                  restart daemons.
//   GET /readyz    200: this daemon serves its database; 503 with the reason if not
//
// It answers GET and HEAD on these paths and nothing else, keeps about 64 connections, the newest, and gives each five seconds.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

namespace durabled::daemon {

struct Probes {
  std::function<std::string()> metrics;
  std::function<std::string()> not_ready;  // "" when ready, or why not
};

class MetricsListener {
 public:
  // `address` is "HOST:PORT" with an IP address ("[::1]:9464" for IPv6). Throws std::runtime_error when nothing can listen
  // there, with a message that says why.
  MetricsListener(boost::asio::io_context& io, const std::string& address, Probes probes);
  ~MetricsListener();
  // Where it listens; of use with port 0.
  int port() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace durabled::daemon
