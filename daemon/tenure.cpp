#include "daemon/tenure.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "daemon/log.hpp"
#include "daemon/loop_hold.hpp"
#include "daemon/metrics/metered_store.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon {
namespace {

namespace asio = boost::asio;

// A work connection that has not answered for this time may be waiting for a lock.
constexpr std::chrono::milliseconds kSuspicious{500};

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

dsl::Policy policy_of(const config::Config& config) {
  dsl::Policy policy;
  policy.max_attempts = config.retry.max_attempts;
  policy.delay = static_cast<double>(config.retry.delay.count()) / 1000;
  policy.backoff = config.retry.backoff;
  policy.max_delay = static_cast<double>(config.retry.max_delay.count()) / 1000;
  policy.loop_min_interval = config.loop.min_interval;
  policy.keep_iterations = config.loop.keep_iterations;
  policy.instance_bytes = config.limits.instance_bytes;
  policy.max_result_bytes = std::max<std::size_t>(config.steps.max_result_bytes, 1 << 10);
  return policy;
}

CoordinatorOptions coordinator_options(const config::Config& config, const store::WorkerId& worker,
                                       const std::string& database) {
  CoordinatorOptions options;
  options.worker = worker;
  options.policy = policy_of(config);
  options.limits = {config.limits.depth, config.limits.nodes, config.limits.dsl_bytes};
  options.max_result_bytes = config.steps.max_result_bytes;
  options.role_bytes = config.limits.role_bytes;
  options.served_database = database;
  options.mark_running_after = config.steps.mark_running_after;
  return options;
}

// Steps that share a transaction, at most: more of them save little, and hold their locks for longer.
constexpr std::size_t kGroupSteps = 32;

StepPoolOptions pool_options(const config::Config& config, const std::string& own_role) {
  StepPoolOptions options;
  options.own_role = own_role;
  options.set_role = config.identity.mode == "set_role";
  options.limits = {config.steps.connections, config.steps.connections_per_role,
                    config.steps.connections_reserve, config.steps.idle_timeout,
                    config.steps.max_connect_pause};
  options.timeout = config.steps.timeout;
  if (config.steps.group_commit == "auto") options.limits.group = kGroupSteps;
  return options;
}

SessionOptions session_options(const config::Config& config, const std::string& own_role,
                               const std::string& database, const std::string& installation) {
  SessionOptions options;
  options.conninfo = config.database;
  options.own_role = own_role;
  options.served_database = database;
  options.installation = installation;
  options.set_role = config.identity.mode == "set_role";
  options.identity = config.identity;
  options.prepared_statements = config.steps.prepared_statements;
  options.lease_ttl = config.worker.lease_ttl;
  options.connections = config.steps.connections + config.steps.connections_reserve;
  return options;
}

WorkLoopOptions loop_options(const config::Config& config, int worker) {
  WorkLoopOptions options;
  options.worker = worker;
  options.admission = {static_cast<std::size_t>(config.worker.max_instances), config.worker.max_bytes,
                       static_cast<std::size_t>(config.worker.claim_batch), config.worker.claim_bytes};
  options.role_bytes = config.limits.role_bytes;
  options.longest_text = config.limits.dsl_bytes;
  options.polls = {config.worker.poll_interval, config.worker.idle_poll_interval, config.worker.listen};
  options.lease_ttl = config.worker.lease_ttl;
  options.advisory_lock = config.worker.advisory_lock;
  options.http = !config.http.allow.empty();
  options.keep_finished = config.retention.keep_finished;
  options.prune_batch = config.retention.batch;
  return options;
}

}  // namespace

std::string Tenure::worker_name(const config::Config& config) {
  return config.worker.name.empty() ? host_name() + "-" + std::to_string(::getpid()) : config.worker.name;
}

Tenure::Connections Tenure::connect(const config::Config& config, Clock& clock, int previous,
                                    Metrics& metrics) {
  Connections connections;
  connections.work = std::make_unique<MeteredStore>(config.database, metrics);
  connections.keeper = std::make_unique<store::Keeper>(
      config.database, store::Keeper::Options{worker_name(config), host_name(), DURABLED_VERSION,
                                              config.worker.advisory_lock, config.worker.listen});
  // Its instances were not what ended that tenure.
  if (previous != 0) connections.work->release_all(previous);
  const dsl::Time before = Clock::local();
  if (const auto theirs = connections.keeper->heartbeat()) clock.synchronise(*theirs, before, Clock::local());
  return connections;
}

Tenure::Tenure(asio::io_context& io, const config::Config& config, Clock& clock, Connections connections,
               Metrics& metrics, SpanExporter* spans)
    : io_(io),
      config_(config),
      clock_(clock),
      keeper_(std::move(connections.keeper), clock, config.worker.heartbeat_interval),
      own_role_(connections.work->own_role()),
      database_(connections.work->database()),
      work_(std::make_shared<WorkThread>(
          io,
          [database = config.database, &metrics] {
            return std::make_unique<MeteredStore>(database, metrics);
          },
          std::move(connections.work), [this] { return now(); }, [this] { tick_soon(); })),
      connector_(std::make_shared<SessionConnector>(
          io, session_options(config, own_role_, database_, keeper_.id().installation))),
      steps_(std::make_unique<StepPool>(*connector_, pool_options(config, own_role_))),
      metrics_(metrics),
      metered_steps_(*steps_, metrics, database_),
      http_(std::make_shared<HttpSteps>(io, config.http, keeper_.id().installation)),
      timer_(io) {
  loop_ = std::make_unique<WorkLoop>(
      loop_options(config, worker()), *work_,
      WorkLoop::Callbacks{
          [](int level, const std::string& text) { log(static_cast<LogLevel>(level), text); },
          [this](const std::string& why) { lose(why); },
          [this] {
            steps_->cancel_running();  // only now: their failures cannot be committed any more
            if (drained_) std::exchange(drained_, nullptr)();
          },
          [this] { tick_soon(); }});
  if (spans != nullptr) begin_tracing(*spans);
  StepPort& step_port = tracing_ ? static_cast<StepPort&>(tracing_->steps) : metered_steps_;
  HttpPort& http_port = tracing_ ? static_cast<HttpPort&>(tracing_->http) : *http_;
  coordinator_ =
      std::make_unique<Coordinator>(coordinator_options(config, keeper_.id(), database_), step_port,
                                    http_port, *loop_, [&clock] { return clock.now(); });
  loop_->attach(*coordinator_, steps_->waiting_by_role());
}

Tenure::~Tenure() {
  shut_down();
}

void Tenure::begin_tracing(SpanExporter& spans) {
  tracing_ = std::make_unique<Tracing>(
      keeper_.id().installation, config_.traces.sample, [&spans](Span span) { spans.add(std::move(span)); },
      metered_steps_, *http_, database_, [this] { return clock_.now(); });
  http_->set_traceparent([this](const std::string& instance, const dsl::CallHttp& call) {
    return tracing_->tracer.traceparent(
        {instance, dsl::node_id(call.address.node), call.address.scope, call.attempt});
  });
}

namespace {

void write(const EndLine& line) {
  log(line.level, line.message, line.fields);
}

}  // namespace

void Tenure::begin(std::function<void(const std::string& why)> lost) {
  lost_ = std::move(lost);
  coordinator_->log = [](int level, const std::string& text) { log(static_cast<LogLevel>(level), text); };
  coordinator_->log_end = [this](const InstanceEnd& end) { instance_ended(end); };
  coordinator_->offload = [this](std::function<void()> work, std::function<void()> done) {
    offload(std::move(work), std::move(done));
  };
  http_->set_done([this](StepId id, HttpResult result) {
    name_loop_work("an HTTP call's result");
    metrics_.step_finished(StepKind::kHttp, result.failure ? &*result.failure : nullptr, result.took);
    if (tracing_) tracing_->http.done(id, result);
    coordinator_->http_done(id, std::move(result));
    tick_soon();
  });
  begin_steps();
  begin_keeper();
  tick();
}

void Tenure::instance_ended(const InstanceEnd& end) {
  metrics_.instance_finished(end.status);
  EndLine line = end_log_.ended(end, std::chrono::steady_clock::now());
  if (tracing_) {
    if (const auto trace = tracing_->tracer.trace_of(end.id))
      line.fields.push_back({"trace_id", '"' + *trace + '"'});
    tracing_->tracer.ended(end);
  }
  write(line);
}

void Tenure::begin_steps() {
  steps_->set_callbacks({[this](StepId id, store::StepOutcome outcome) {
                           name_loop_work("a step's result");
                           metered_steps_.executed(id, outcome);
                           if (tracing_) tracing_->steps.executed(id, outcome);
                           coordinator_->executed(id, std::move(outcome));
                           tick_soon();
                         },
                         [this](StepId id, store::CommitOutcome outcome) {
                           name_loop_work("a step's commit");
                           metered_steps_.committed(id, outcome);
                           if (tracing_) tracing_->steps.committed(id, outcome);
                           coordinator_->committed(id, std::move(outcome));
                           tick_soon();
                         },
                         {coordinator_->log,
                          [this](const store::LoginProblem& problem, auto hopeless) {
                            metrics_.login_failed();
                            loop_->login_failed(problem, std::move(hopeless));
                          },
                          [this](const store::StepTarget& target) { loop_->login_works(target); }},
                         [this](std::size_t steps) { metrics_.grouped(steps); }});
  steps_->tick();
}

void Tenure::begin_keeper() {
  // Off the keeper's thread, to the event loop's.
  const auto post = [this](std::function<void(Tenure&)> work) {
    asio::post(io_, [weak = weak_from_this(), work = std::move(work)] {
      if (const auto self = weak.lock(); self && !self->stopping_) work(*self);
    });
  };
  keeper_.start({[post] {
                   post([](Tenure& tenure) {
                     tenure.loop_->ring();
                     tenure.tick_soon();
                   });
                 },
                 [post](const std::string& why) { post([why](Tenure& tenure) { tenure.lose(why); }); },
                 [post](const std::string& waiters) {
                   post([waiters](Tenure&) { log_warn("everything waits for a lock: " + waiters); });
                 },
                 [this] { return has_work_ || work_->busy_for() > kSuspicious; }});
}

void Tenure::offload(std::function<void()> work, std::function<void()> done) {
  asio::post(templates_,
             [weak = weak_from_this(), &io = io_, work = std::move(work), done = std::move(done)]() mutable {
               work();
               asio::post(io, [weak, done = std::move(done)] {
                 const auto self = weak.lock();
                 if (!self || self->stopping_) return;
                 name_loop_work("a statement whose references were replaced");
                 done();
                 self->tick_soon();
               });
             });
}

void Tenure::shut_down() {
  if (std::exchange(stopping_, true)) return;
  lost_ = nullptr;
  drained_ = nullptr;
  timer_.cancel();
  keeper_.shut_down();
  work_->shut_down();
  templates_.stop();
  templates_.join();
  steps_->shut_down();
  connector_->shut_down();
  http_->shut_down();
}

void Tenure::reconfigure(const config::Config& config) {
  config_ = config;
  http_->reconfigure(config.http);
  coordinator_->reconfigure(policy_of(config), config.steps.max_result_bytes,
                            config.steps.mark_running_after);
  connector_->reconfigure(config.identity);
  steps_->reconfigure(config.steps.idle_timeout, config.steps.timeout, config.steps.max_connect_pause);
  loop_->reconfigure(loop_options(config, worker()));
}

LoopFacts Tenure::facts() const {
  LoopFacts facts;
  facts.is_serving = !loop_->is_stopping();
  facts.held = coordinator_->held();
  facts.held_max = static_cast<std::size_t>(config_.worker.max_instances);
  facts.connections_busy = steps_->busy_connections();
  facts.connections_idle = steps_->open_connections() - facts.connections_busy;
  facts.connections_max = config_.steps.connections;
  for (const auto& [role, waiting] : steps_->waiting_by_role()) facts.steps_waiting += waiting;
  facts.calls = http_->calls();
  facts.calls_max = static_cast<std::size_t>(config_.http.max_in_flight);
  return facts;
}

void Tenure::collect(const std::vector<std::string>& labels) {
  struct Collected {
    store::Statistics statistics;
    std::chrono::microseconds took{0};
  };
  const auto collected = std::make_shared<Collected>();
  work_->run(
      [collected, labels](store::WorkDatabase& database) {
        const auto begin = std::chrono::steady_clock::now();
        collected->statistics = database.statistics(labels);
        collected->took =
            std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
      },
      [this, collected](Moment, const std::optional<store::StoreError>& error) {
        if (error) {
          metrics_.collector_failed();
          log_warn(std::string("metrics: ") + error->what());
        } else {
          metrics_.set_database(collected->statistics, collected->took);
        }
      });
}

void Tenure::lose(const std::string& why) {
  if (lost_) std::exchange(lost_, nullptr)(why);
}

void Tenure::tick_soon() {
  if (std::exchange(tick_posted_, true)) return;
  asio::post(io_, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && !self->stopping_) self->tick();
  });
}

void Tenure::tick() {
  tick_posted_ = false;
  timer_.expires_at(loop_->tick(now()));
  has_work_ = coordinator_->held() > 0;
  for (const EndLine& line : end_log_.tidy(std::chrono::steady_clock::now())) write(line);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& cancelled) {
    if (const auto self = weak.lock(); self && !cancelled && !self->stopping_) self->tick();
  });
}

std::size_t Tenure::drain(std::function<void()> done) {
  drained_ = std::move(done);
  loop_->drain(std::chrono::steady_clock::now(), config_.worker.shutdown_grace);
  return coordinator_->steps_in_progress();
}

}  // namespace durabled::daemon
