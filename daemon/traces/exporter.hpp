// Sends spans to an OpenTelemetry collector: POST ENDPOINT/v1/traces, in batches, on a thread of its own.
//
// Tracing never holds up workflows: what does not fit into the queue is dropped and counted. A batch that the
// collector cannot take now is tried again, with pauses; one that it refuses for good is dropped.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "daemon/metrics/metrics.hpp"
#include "daemon/repeated_message.hpp"
#include "daemon/traces/span.hpp"

namespace durabled::daemon {

class SpanExporter {
 public:
  struct Options {
    std::string endpoint;      // "http://127.0.0.1:4318"
    std::string headers_file;  // lines "Name: value" that go with each request; empty: none
    std::string worker;        // the name of this daemon
    std::size_t queue = 8'192;
    std::size_t batch = 512;
    std::chrono::milliseconds delay{1'000};  // for which spans wait for others at most
    std::chrono::milliseconds first_pause{1'000}, longest_pause{30'000};
  };

  // Starts the thread. `metrics` outlives it.
  SpanExporter(Options options, Metrics& metrics);
  // Sends what is left, for two seconds at most, and joins the thread.
  ~SpanExporter();
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  // Any thread; returns at once.
  void add(Span span);

 private:
  using Clock = std::chrono::steady_clock;
  class Request;
  enum class Answer { kTaken, kLater, kNever };

  void run();
  void deliver(const std::vector<Span>& spans);
  Answer send(const std::string& json, std::size_t spans);
  void complain(const std::string& why);
  bool is_out_of_time();
  // False: the exporter ends.
  bool pause(std::chrono::milliseconds length);

  const Options options_;
  Metrics& metrics_;
  std::unique_ptr<Request> request_;  // of the thread, as is the next one
  RepeatedMessage away_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::vector<Span> queue_;
  bool stopping_ = false;
  Clock::time_point last_moment_ = Clock::time_point::max();  // after which nothing is sent
  std::thread thread_;
};

}  // namespace durabled::daemon
