#include "daemon/service.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <boost/algorithm/string.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <optional>
#include <utility>

#include "config/loader.hpp"
#include "config/units.hpp"
#include "daemon/log.hpp"
#include "daemon/loop_hold.hpp"
#include "daemon/metrics/listener.hpp"
#include "daemon/metrics/metrics.hpp"
#include "daemon/repeated_message.hpp"
#include "daemon/tenure.hpp"
#include "store/conninfo.hpp"
#include "store/quiet_login.hpp"
#include "store/store_error.hpp"

namespace durabled::daemon {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::seconds kCollectInterval{15};
constexpr std::chrono::milliseconds kLongestRetry{1'000};  // work is to resume within two seconds

class Service {
 public:
  Service(config::Config config, std::function<config::Config()> reload)
      : config_(std::move(config)),
        reload_(std::move(reload)),
        signals_(io_),
        retry_timer_(io_),
        watchdog_timer_(io_),
        collect_timer_(io_) {}

  int run() {
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) signals_.add(number);
    wait_for_signal();
    watchdog();
    if (const auto warning = quiet_login().warning) log_warn(*warning);
    listen();
    trace();
    connect();
    for (bool broken = false;;) {
      try {
        if (std::exchange(broken, false) && tenure_) lost("an exception reached the event loop");
        run_measured(io_);
        return exit_code_;
      } catch (const std::exception& e) {
        // Nothing nearer to it has dealt with it (no memory, say): what is held is given up and read again.
        log_error(std::string("in the event loop: ") + e.what());
        broken = true;
      }
    }
  }

 private:
  // Another daemon of this host may have the port. This one serves without it, and tries again.
  void listen() {
    if (config_.metrics.listen.empty()) return;
    try {
      listener_.emplace(
          io_, config_.metrics.listen,
          Probes{[this] {
                   metrics_.set_loop(tenure_ ? tenure_->facts() : LoopFacts{});
                   for (const auto& [name, level] :
                        {std::pair("warning", LogLevel::kWarn), std::pair("error", LogLevel::kError)})
                     metrics_.set_log_lines(name, log_lines(level));
                   return metrics_.text();
                 },
                 [this] { return is_serving() ? "" : "not serving: " + not_serving_because_; }});
      log_info("metrics, /healthz and /readyz are at port " + std::to_string(listener_->port()));
      if (const auto lasted = no_port_.over(std::chrono::steady_clock::now()))
        log_info("metrics.listen: it was taken for " + *lasted);
      collect();
    } catch (const std::runtime_error& e) {
      if (const auto text = no_port_.again(e.what(), std::chrono::steady_clock::now())) log_warn(*text);
      collect_timer_.expires_after(kCollectInterval);
      collect_timer_.async_wait([this](const boost::system::error_code& cancelled) {
        if (!cancelled) listen();
      });
    }
  }

  void trace() {
    const config::Config::Traces& traces = config_.traces;
    if (traces.endpoint.empty() || traces.sample == 0) return;
    exporter_.emplace(SpanExporter::Options{.endpoint = traces.endpoint,
                                            .headers_file = traces.headers_file,
                                            .worker = Tenure::worker_name(config_)},
                      metrics_);
    log_info("traces go to " + traces.endpoint);
  }

  void collect() {
    if (is_serving()) tenure_->collect(labels());
    collect_timer_.expires_after(kCollectInterval);
    collect_timer_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) collect();
    });
  }

  std::vector<std::string> labels() const {
    std::vector<std::string> labels;
    boost::algorithm::split(labels, config_.metrics.labels, boost::is_any_of(","));
    for (std::string& label : labels) boost::algorithm::trim(label);
    std::erase(labels, "");
    return labels;
  }

  bool is_serving() const { return tenure_ && !stopping_; }

  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& cancelled, int number) {
      if (cancelled) return;
      if (number == SIGHUP) {
        reload();
      } else {
        stop();
      }
      wait_for_signal();
    });
  }

  store::QuietLogin quiet_login() const {
    return store::quiet_login(config_.database, config_.steps.prepared_statements);
  }

  // The configuration with which libpq writes nothing to stderr.
  config::Config quiet_config() const {
    config::Config config = config_;
    config.database = quiet_login().conninfo;
    return config;
  }

  void connect() {
    asio::post(connector_, [this, config = quiet_config(), previous = previous_] {
      try {
        auto connections =
            std::make_shared<Tenure::Connections>(Tenure::connect(config, clock_, previous, metrics_));
        asio::post(io_, [this, connections] { connected(std::move(*connections)); });
      } catch (const store::StoreError& e) {
        asio::post(io_, [this, e] { connect_failed(e); });
      }
    });
  }

  void connected(Tenure::Connections connections) {
    if (stopping_) return finish(0);
    retry_delay_ = kFirstRetry;
    tenure_ = std::make_shared<Tenure>(io_, quiet_config(), clock_, std::move(connections), metrics_,
                                       exporter_ ? &*exporter_ : nullptr);
    previous_ = tenure_->worker();
    tenure_->begin([this](const std::string& why) { lost(why); });
    const auto lasted = away_.over(std::chrono::steady_clock::now());
    log_info("serving " + store::redacted(config_.database) + (lasted ? ", back after " + *lasted : ""));
    sd_notify(0, "READY=1\nSTATUS=serving");
    if (listener_) collect();
  }

  void connect_failed(const store::StoreError& error) {
    if (stopping_) return finish(0);
    if (error.kind() == store::StoreError::Kind::kPermanent) {
      log_error(error.what());
      return finish(1);
    }
    not_serving(std::string("cannot serve yet: ") + error.what());
    retry();
  }

  void not_serving(const std::string& why) {
    not_serving_because_ = first_line(why);
    if (const auto line = away_.again(why, std::chrono::steady_clock::now())) log_warn(*line);
    sd_notify(0, ("STATUS=" + first_line(why)).c_str());
  }

  void retry() {
    retry_timer_.expires_after(retry_delay_);
    retry_delay_ = std::min(retry_delay_ * 2, kLongestRetry);
    retry_timer_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) connect();
    });
  }

  void lost(const std::string& why) {
    metrics_.reconnected();
    not_serving("the database is lost, reconnecting: " + why);
    // Not here: the tenure is still on the stack.
    asio::post(io_, [this, old = std::exchange(tenure_, nullptr)] {
      old->shut_down();
      if (stopping_) return finish(0);
      retry();
    });
  }

  void reload() {
    if (!reload_) return;
    try {
      config::Config fresh = reload_();
      for (const std::string& key : config::changed_but_not_reloadable(config_, fresh)) {
        log_warn("reload: " + key + " takes a restart to change");
      }
      config::apply_reloadable(config_, fresh);
      configure_log(config_.log);
      if (tenure_) tenure_->reconfigure(quiet_config());
      log_info("configuration reloaded");
    } catch (const std::exception& e) {
      log_error(std::string("reload: the configuration stays as it was: ") + e.what());
    }
  }

  void stop() {
    not_serving_because_ = "stopping";
    if (std::exchange(stopping_, true)) {
      log_info("stopping at once");
      if (tenure_) tenure_->give_back();
      return;
    }
    log_info("stopping");
    sd_notify(0, "STOPPING=1");
    retry_timer_.cancel();
    if (tenure_) {
      const std::size_t steps = tenure_->drain([this] { asio::post(io_, [this] { finish(0); }); });
      if (steps > 0) {
        log_info("waiting for " + std::to_string(steps) + (steps == 1 ? " running step" : " running steps") +
                 ", at most " + config::print_duration(config_.worker.shutdown_grace) +
                 "; a second Ctrl-C or SIGTERM stops at once, and what runs is rolled back");
      }
    } else {
      finish(0);
    }
  }

  void finish(int code) {
    exit_code_ = code;
    if (tenure_) tenure_->shut_down();
    signals_.cancel();
    watchdog_timer_.cancel();
    collect_timer_.cancel();
    retry_timer_.cancel();
    io_.stop();
  }

  // The watchdog is fed by the thread that does the work, so that a stuck daemon is restarted.
  void watchdog() {
    std::uint64_t interval = 0;
    if (sd_watchdog_enabled(0, &interval) <= 0) return;
    sd_notify(0, "WATCHDOG=1");
    watchdog_timer_.expires_after(std::chrono::microseconds(interval / 3));
    watchdog_timer_.async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled) watchdog();
    });
  }

  // A notification to systemd has a variable a line.
  static std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

  config::Config config_;
  std::function<config::Config()> reload_;
  Metrics metrics_{DURABLED_VERSION};
  std::optional<SpanExporter> exporter_;
  asio::io_context io_;
  std::optional<MetricsListener> listener_;
  Clock clock_;
  asio::signal_set signals_;
  asio::steady_timer retry_timer_, watchdog_timer_, collect_timer_;
  std::chrono::milliseconds retry_delay_ = kFirstRetry;
  RepeatedMessage no_port_;  // why nothing listens at metrics.listen
  RepeatedMessage away_;     // why the daemon does not serve
  std::string not_serving_because_ = "not connected yet";
  std::shared_ptr<Tenure> tenure_;
  asio::thread_pool connector_{1};
  int previous_ = 0;  // the worker of the last tenure
  bool stopping_ = false;
  int exit_code_ = 0;
};

}  // namespace

int run_service(config::Config config, std::function<config::Config()> reload) {
  try {
    configure_log(config.log);
    Service service(std::move(config), std::move(reload));
    return service.run();
  } catch (const std::exception& e) {
    log_error(e.what());
    return 1;
  }
}

}  // namespace durabled::daemon
