#include "daemon/metrics/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <string_view>

#include "daemon/metrics/process.hpp"

namespace durabled::daemon {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

double seconds(std::chrono::microseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

const char* name(StepKind kind) {
  switch (kind) {
    case StepKind::kSql:
      return "sql";
    case StepKind::kForeign:
      return "foreign_sql";
    case StepKind::kHttp:
      return "http";
  }
  return "";
}

const char* name(CommitKind kind) {
  return kind == CommitKind::kStep ? "step" : "turns";
}

const char* name(Refusal reason) {
  switch (reason) {
    case Refusal::kLeaseLost:
      return "lease_lost";
    case Refusal::kRefused:
      return "refused";
    case Refusal::kInDoubt:
      return "in_doubt";
  }
  return "";
}

// 5 ms to an hour: a step may be a lookup or a night's report.
const Buckets& step_buckets() {
  static const Buckets buckets{0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300, 1'800, 3'600};
  return buckets;
}

const Buckets& delay_buckets() {
  static const Buckets buckets{0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600};
  return buckets;
}

// The classes of PostgreSQL's manual, appendix A. A workflow can raise any five characters.
constexpr std::array<std::string_view, 45> kClasses{
    "00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "22",
    "23", "24", "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F",
    "40", "42", "44", "53", "54", "55", "57", "58", "72", "F0", "HV", "P0", "XX", "DF", "10"};

}  // namespace

std::string code_class(const dsl::Failure& failure) {
  const std::string_view code = failure.code;
  if (code == "timeout") return "timeout";
  if (code.size() == 8 && code.starts_with("http_") && code[5] >= '1' && code[5] <= '5')
    return std::string(code.substr(0, 6)) + "xx";
  const bool is_known =
      code.size() == 5 && std::find(kClasses.begin(), kClasses.end(), code.substr(0, 2)) != kClasses.end();
  return is_known ? "sql_" + std::string(code.substr(0, 2)) : "other";
}

struct Metrics::Impl {
  prometheus::Registry registry;

  Family<Counter>& counter(const char* metric, const char* help) {
    return prometheus::BuildCounter().Name(metric).Help(help).Register(registry);
  }
  Family<Gauge>& gauge(const char* metric, const char* help) {
    return prometheus::BuildGauge().Name(metric).Help(help).Register(registry);
  }
  Family<Histogram>& histogram(const char* metric, const char* help) {
    return prometheus::BuildHistogram().Name(metric).Help(help).Register(registry);
  }

  Gauge& up =
      gauge("durabled_up", "1 while this daemon is registered with its database and serves it").Add({});
  Family<Counter>& finished = counter("durabled_instances_finished_total", "Instances that ended");
  Family<Counter>& steps = counter("durabled_steps_finished_total", "Attempts of steps that ended");
  Family<Histogram>& step_duration =
      histogram("durabled_step_duration_seconds", "How long attempts of steps ran");
  Family<Histogram>& step_queue =
      histogram("durabled_step_queue_seconds",
                "How long steps that were ready waited for a connection or a call's turn");
  // What every step touches is looked up once.
  struct OfKind {
    Counter* completed;
    Histogram *duration, *queue;
  };
  std::array<OfKind, 3> kinds{of_kind(StepKind::kSql), of_kind(StepKind::kForeign), of_kind(StepKind::kHttp)};
  OfKind of_kind(StepKind kind) {
    return {&steps.Add({{"kind", name(kind)}, {"result", "completed"}, {"code_class", ""}}),
            &step_duration.Add({{"kind", name(kind)}}, step_buckets()),
            &step_queue.Add({{"kind", name(kind)}}, delay_buckets())};
  }
  OfKind& of(StepKind kind) { return kinds[static_cast<std::size_t>(kind)]; }
  Histogram& claim_delay = histogram("durabled_claim_delay_seconds",
                                     "How long instances that were due waited until they were claimed")
                               .Add({}, delay_buckets());
  Family<Histogram>& commit_duration =
      histogram("durabled_commit_duration_seconds", "How long checkpoints took to commit");
  std::array<Histogram*, 2> commits{
      &commit_duration.Add({{"kind", name(CommitKind::kStep)}}, delay_buckets()),
      &commit_duration.Add({{"kind", name(CommitKind::kTurns)}}, delay_buckets())};
  Family<Counter>& turns_refused =
      counter("durabled_turns_refused_total", "Checkpoints that were not written");
  Counter& takeovers =
      counter("durabled_takeovers_total", "Instances taken over from daemons that died").Add({});
  Gauge& held = gauge("durabled_instances_held", "Instances in this daemon's memory").Add({});
  Gauge& held_max = gauge("durabled_instances_held_max", "worker.max_instances").Add({});
  Family<Gauge>& connections = gauge("durabled_step_connections", "Connections for steps");
  Gauge& connections_busy = connections.Add({{"state", "busy"}});
  Gauge& connections_idle = connections.Add({{"state", "idle"}});
  Gauge& connections_max = gauge("durabled_step_connections_max", "steps.connections").Add({});
  Gauge& steps_waiting = gauge("durabled_steps_waiting", "Steps that wait for a connection").Add({});
  Gauge& calls = gauge("durabled_http_calls_in_flight", "HTTP calls under way").Add({});
  Gauge& calls_max = gauge("durabled_http_calls_in_flight_max", "http.max_in_flight").Add({});
  Counter& logins_failed = counter("durabled_login_failures_total", "Logins for steps that failed").Add({});
  Counter& groups = counter("durabled_step_groups_total", "Transactions that several steps shared").Add({});
  Counter& grouped_steps =
      counter("durabled_grouped_steps_total", "Steps that shared a transaction with others").Add({});
  Counter& reconnects = counter("durabled_reconnects_total", "Times the database was lost").Add({});
  Counter& exported =
      counter("durabled_spans_exported_total", "Spans of traces that the collector took").Add({});
  Counter& dropped = counter("durabled_spans_dropped_total",
                             "Spans of traces that were not sent, or that the collector refused")
                         .Add({});
  Family<Counter>& log_messages = counter("durabled_log_messages_total", "Lines of the log");

  Gauge& overdue = gauge("durabled_db_overdue_instances",
                         "Instances that should have been claimed ten seconds ago; counted up to 10,000")
                       .Add({});
  Gauge& oldest_overdue =
      gauge("durabled_db_oldest_overdue_seconds", "How long the oldest of these has been due").Add({});
  Family<Gauge>& unfinished =
      gauge("durabled_db_instances", "Instances that have not ended, by status; each counted up to 10,000");
  Gauge& parked =
      gauge("durabled_db_parked_instances", "Instances with which daemons died three times, until df.resume")
          .Add({});
  Gauge& workers = gauge("durabled_db_workers", "Daemons that serve the database").Add({});
  Family<Gauge>& relation_bytes = gauge("durabled_db_relation_bytes", "Size of tables with their indexes");
  Gauge& xmin_age =
      gauge("durabled_db_xmin_age", "Transactions by which the oldest open snapshot holds vacuum back")
          .Add({});
  Family<Gauge>& label_completed =
      gauge("durabled_db_label_last_completed_timestamp_seconds",
            "When an instance of this label last completed; labels of metrics.labels only");
  Gauge& collector_duration =
      gauge("durabled_collector_duration_seconds", "How long the last query for durabled_db_* took").Add({});
  Counter& collector_errors =
      counter("durabled_collector_errors_total", "Queries for durabled_db_* that failed").Add({});
  ProcessMetrics process{registry};
};

Metrics::Metrics(const std::string& version) : impl_(std::make_unique<Impl>()) {
  impl_->gauge("durabled_build_info", "The version of this daemon, as a label of the number 1")
      .Add({{"version", version}})
      .Set(1);
  // Series that alerts look at exist before the first event, so that rate() sees their first step.
  for (const char* status : {"completed", "failed", "cancelled"}) impl_->finished.Add({{"status", status}});
  for (const Refusal reason : {Refusal::kLeaseLost, Refusal::kRefused, Refusal::kInDoubt})
    impl_->turns_refused.Add({{"reason", name(reason)}});
}

Metrics::~Metrics() = default;

void Metrics::instance_finished(const std::string& status) {
  const bool is_known = status == "completed" || status == "failed" || status == "cancelled";
  impl_->finished.Add({{"status", is_known ? status : "other"}}).Increment();
}

void Metrics::step_started(StepKind kind, std::chrono::microseconds waited) {
  impl_->of(kind).queue->Observe(seconds(waited));
}

void Metrics::step_finished(StepKind kind, const dsl::Failure* failure,
                            std::optional<std::chrono::microseconds> took) {
  Counter& counter =
      failure == nullptr
          ? *impl_->of(kind).completed
          : impl_->steps.Add(
                {{"kind", name(kind)}, {"result", "failed"}, {"code_class", code_class(*failure)}});
  counter.Increment();
  if (took) impl_->of(kind).duration->Observe(seconds(*took));
}

void Metrics::committed(CommitKind kind, std::chrono::microseconds took) {
  impl_->commits[static_cast<std::size_t>(kind)]->Observe(seconds(took));
}

void Metrics::refused(Refusal reason) {
  impl_->turns_refused.Add({{"reason", name(reason)}}).Increment();
}

void Metrics::took_over(int instances) {
  impl_->takeovers.Increment(instances);
}
void Metrics::claimed(std::chrono::microseconds waited) {
  impl_->claim_delay.Observe(seconds(waited));
}
void Metrics::login_failed() {
  impl_->logins_failed.Increment();
}
void Metrics::grouped(std::size_t steps) {
  impl_->groups.Increment();
  impl_->grouped_steps.Increment(static_cast<double>(steps));
}

void Metrics::reconnected() {
  impl_->reconnects.Increment();
}
void Metrics::spans_exported(std::size_t count) {
  impl_->exported.Increment(static_cast<double>(count));
}
void Metrics::spans_dropped(std::size_t count) {
  impl_->dropped.Increment(static_cast<double>(count));
}
void Metrics::set_log_lines(const char* level, std::uint64_t lines) {
  Counter& counter = impl_->log_messages.Add({{"level", level}});
  counter.Increment(static_cast<double>(lines) - counter.Value());
}

void Metrics::set_loop(const LoopFacts& facts) {
  impl_->up.Set(facts.is_serving ? 1 : 0);
  impl_->held.Set(static_cast<double>(facts.held));
  impl_->held_max.Set(static_cast<double>(facts.held_max));
  impl_->connections_busy.Set(facts.connections_busy);
  impl_->connections_idle.Set(facts.connections_idle);
  impl_->connections_max.Set(facts.connections_max);
  impl_->steps_waiting.Set(static_cast<double>(facts.steps_waiting));
  impl_->calls.Set(static_cast<double>(facts.calls));
  impl_->calls_max.Set(static_cast<double>(facts.calls_max));
}

void Metrics::set_database(const store::Statistics& statistics, std::chrono::microseconds took) {
  impl_->overdue.Set(static_cast<double>(statistics.overdue));
  impl_->oldest_overdue.Set(statistics.oldest_overdue_seconds);
  for (const char* status : {"pending", "running", "paused"}) {
    const auto found = statistics.unfinished.find(status);
    const double count = found == statistics.unfinished.end() ? 0 : static_cast<double>(found->second);
    impl_->unfinished.Add({{"status", status}}).Set(count);
  }
  impl_->parked.Set(static_cast<double>(statistics.parked));
  impl_->workers.Set(static_cast<double>(statistics.workers));
  for (const auto& [table, bytes] : statistics.relation_bytes)
    impl_->relation_bytes.Add({{"table", table}}).Set(static_cast<double>(bytes));
  impl_->xmin_age.Set(static_cast<double>(statistics.xmin_age));
  for (const auto& [label, at] : statistics.label_completed)
    impl_->label_completed.Add({{"label", label}}).Set(at);
  impl_->collector_duration.Set(seconds(took));
}

void Metrics::collector_failed() {
  impl_->collector_errors.Increment();
}

std::string Metrics::text() {
  impl_->process.renew();
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, impl_->registry.Collect());
  return out.str();
}

}  // namespace durabled::daemon
