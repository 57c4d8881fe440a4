// What this daemon counts and measures, in Prometheus' text format. No id, role, text or URL is ever a label: values of
// labels come from fixed sets, so that no workflow can add series. (metrics.labels names the workflow labels that may
// appear in durabled_db_label_last_completed_timestamp_seconds.)
//
// Thread-safe. Counting takes no lock that scraping holds for long.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dsl/engine/failure.hpp"
#include "store/statistics.hpp"

namespace durabled::daemon {

enum class StepKind { kSql, kForeign, kHttp };
enum class CommitKind { kStep, kTurns };
enum class Refusal { kLeaseLost, kRefused, kInDoubt };

// What the loop knows of itself at a scrape.
struct LoopFacts {
  bool is_serving = false;  // registered with the database, and not giving back
  std::size_t held = 0, held_max = 0;
  int connections_busy = 0, connections_idle = 0, connections_max = 0;
  std::size_t steps_waiting = 0;  // for a connection
  std::size_t calls = 0, calls_max = 0;
};

class Metrics {
 public:
  explicit Metrics(const std::string& version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // completed, failed or cancelled; anything else is counted as "other".
  void instance_finished(const std::string& status);
  // How long a step waited for a connection, or an HTTP call for its turn.
  void step_started(StepKind kind, std::chrono::microseconds waited);
  // One attempt ended; `failure` is null when it succeeded.
  void step_finished(StepKind kind, const dsl::Failure* failure,
                     std::optional<std::chrono::microseconds> took);
  void committed(CommitKind kind, std::chrono::microseconds took);
  void refused(Refusal reason);
  void grouped(std::size_t steps);  // they were committed as one
  void took_over(int instances);
  // How long an instance that was due waited until this daemon took it.
  void claimed(std::chrono::microseconds waited);
  void login_failed();
  void reconnected();
  void spans_exported(std::size_t count);
  void spans_dropped(std::size_t count);
  // How many lines of `level` were logged since the start.
  void set_log_lines(const char* level, std::uint64_t lines);

  void set_loop(const LoopFacts& facts);
  void set_database(const store::Statistics& statistics, std::chrono::microseconds took);
  void collector_failed();

  // The exposition, text format 0.0.4.
  std::string text();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The `code_class` of a failure: "sql_23" for a SQLSTATE class that PostgreSQL defines, "http_5xx", "timeout" or "other".
std::string code_class(const dsl::Failure& failure);

}  // namespace durabled::daemon
