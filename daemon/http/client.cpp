#include "daemon/http/client.hpp"

#include <curl/curl.h>

#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "daemon/curl_library.hpp"
#include "daemon/http/fair_queue.hpp"
#include "daemon/http/secrets.hpp"
#include "daemon/http/transfer.hpp"
#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

constexpr int kLaunchBatch = 100;  // per turn, so that calls that fail at once cannot keep the others waiting
constexpr int kPollMs = 1'000;     // a bound for the unexpected only: work arrives by curl_multi_wakeup

// What a reload replaces, as one.
struct Settings {
  std::shared_ptr<const HttpPolicy> policy;
  SecretStore secrets;
  std::size_t max_in_flight;
  std::size_t max_response_bytes;
};

std::shared_ptr<const Settings> make_settings(const config::Config::Http& config,
                                              std::shared_ptr<const HttpPolicy> policy) {
  DURABLED_ASSERT(policy != nullptr);
  const auto in_flight = static_cast<std::size_t>(config.max_in_flight > 0 ? config.max_in_flight : 1);
  return std::make_shared<const Settings>(Settings{std::move(policy), SecretStore(config.secrets_directory),
                                                   in_flight, config.max_response_bytes});
}

}  // namespace

// Two halves: what any thread may touch, under `mutex_`; and what belongs to the client's thread alone. A
// call is in `calls_` until its outcome is handed out or it is aborted: whoever takes it out of there decides
// its fate.
class HttpClient::Impl {
 public:
  Impl(const config::Config::Http& config, std::shared_ptr<const HttpPolicy> policy, const Options& options)
      : settings_(make_settings(config, std::move(policy))) {
    initialize_curl_once();
    multi_ = curl_multi_init();
    DURABLED_ASSERT(multi_ != nullptr);
    for (const std::string& entry : options.resolve) resolve_ = curl_slist_append(resolve_, entry.c_str());
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
    curl_slist_free_all(resolve_);
  }

  HttpCallId start(HttpRequest request, Done done) {
    HttpCallId id = 0;
    {
      const std::lock_guard lock(mutex_);
      id = ++last_id_;
      queue_.push(request.role, id);
      calls_.emplace(id, Call{request.role, std::move(request), std::move(done)});
    }
    curl_multi_wakeup(multi_);
    return id;
  }

  bool abort(HttpCallId id) {
    Call dropped;  // destroyed outside the lock: its callback may own anything
    {
      const std::lock_guard lock(mutex_);
      const auto found = calls_.find(id);
      if (found == calls_.end()) return false;
      dropped = std::move(found->second);
      calls_.erase(found);
      if (dropped.request) {
        queue_.erase(dropped.role, id);
      } else {
        aborted_.push_back(id);
      }
    }
    curl_multi_wakeup(multi_);
    return true;
  }

  void reconfigure(std::shared_ptr<const Settings> settings) {
    {
      const std::lock_guard lock(mutex_);
      settings_.swap(settings);
    }
    curl_multi_wakeup(multi_);  // max_in_flight may have grown
  }

  HttpLoad load() const {
    const std::lock_guard lock(mutex_);
    return {queue_.in_flight(), queue_.waiting()};
  }

 private:
  struct Call {
    std::string role;
    std::optional<HttpRequest> request;  // until the call leaves the queue
    Done done;
  };
  struct Running {
    std::string role;
    std::unique_ptr<HttpTransfer> transfer;
  };

  void run() {
    while (true) {
      if (!take_orders()) break;
      const bool launched = launch_queued();
      int still_running = 0;
      curl_multi_perform(multi_, &still_running);
      const bool finished = reap();
      if (launched || finished) continue;  // slots may have come free, handles may have more to do
      curl_multi_poll(multi_, nullptr, 0, kPollMs, nullptr);
    }
    for (auto& [id, running] : running_) curl_multi_remove_handle(multi_, running.transfer->handle());
    running_.clear();
  }

  // Breaks off what was aborted. False: the client is going away.
  bool take_orders() {
    std::vector<HttpCallId> aborted;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
      aborted.swap(aborted_);
    }
    for (const HttpCallId id : aborted) {
      const auto found = running_.find(id);
      if (found == running_.end()) continue;  // it ended meanwhile, and reap() found nobody to tell
      curl_multi_remove_handle(multi_, found->second.transfer->handle());
      ids_.erase(found->second.transfer->handle());
      release_slot(found->second.role);
      running_.erase(found);
    }
    return true;
  }

  bool launch_queued() {
    bool launched = false;
    for (int i = 0; i < kLaunchBatch; ++i) {
      auto next = take_next();
      if (!next) break;
      launched = true;
      launch(next->first, next->second);
    }
    return launched;
  }

  std::optional<std::pair<HttpCallId, HttpRequest>> take_next() {
    const std::lock_guard lock(mutex_);
    if (stopping_) return std::nullopt;
    const auto id = queue_.pop(settings_->max_in_flight);
    if (!id) return std::nullopt;
    const auto found = calls_.find(*id);
    DURABLED_ASSERT(found != calls_.end() && found->second.request);
    std::pair<HttpCallId, HttpRequest> next(*id, std::move(*found->second.request));
    found->second.request.reset();
    return next;
  }

  // Asked for anew each time, so that what starts after a reload never sees what was before it.
  std::shared_ptr<const Settings> settings() const {
    const std::lock_guard lock(mutex_);
    return settings_;
  }

  void launch(HttpCallId id, const HttpRequest& request) {
    const auto current = settings();
    SecretScrubber scrubber;
    auto wire = make_wire_request(request, current->secrets, *current->policy, scrubber);
    if (!wire) {
      release_slot(request.role);
      hand_out(id, Unexpected{std::move(wire.error())});
      return;
    }
    const std::size_t limit =
        request.max_response_bytes != 0 ? request.max_response_bytes : current->max_response_bytes;
    auto transfer = std::make_unique<HttpTransfer>(std::move(*wire), std::move(scrubber), request.role,
                                                   request.timeout, limit, resolve_);
    ids_.emplace(transfer->handle(), id);
    curl_multi_add_handle(multi_, transfer->handle());
    running_.emplace(id, Running{request.role, std::move(transfer)});
  }

  // Hands out what has ended. True when there was anything.
  bool reap() {
    bool any = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      any = true;
      CURL* easy = message->easy_handle;  // `message` is gone once the handle is removed
      const CURLcode code = message->data.result;
      curl_multi_remove_handle(multi_, easy);
      conclude(ids_.at(easy), code);
    }
    return any;
  }

  void conclude(HttpCallId id, CURLcode code) {
    const auto found = running_.find(id);
    DURABLED_ASSERT(found != running_.end());
    HttpTransfer& transfer = *found->second.transfer;
    auto outcome = transfer.finish(code, *settings()->policy);
    if (!outcome) {
      curl_multi_add_handle(multi_, transfer.handle());
      return;
    }
    const std::chrono::milliseconds took = transfer.elapsed();
    release_slot(found->second.role);
    ids_.erase(transfer.handle());
    running_.erase(found);
    if (!*outcome) outcome->error().took = took;
    hand_out(id, std::move(*outcome));
  }

  void release_slot(const std::string& role) {
    const std::lock_guard lock(mutex_);
    queue_.finished(role);
  }

  void hand_out(HttpCallId id, HttpOutcome outcome) {
    Done done;
    {
      const std::lock_guard lock(mutex_);
      const auto found = calls_.find(id);
      if (found == calls_.end()) return;  // aborted
      done = std::move(found->second.done);
      calls_.erase(found);
    }
    done(std::move(outcome));
  }

  mutable std::mutex mutex_;
  std::shared_ptr<const Settings> settings_;
  std::unordered_map<HttpCallId, Call> calls_;
  FairQueue queue_;
  std::vector<HttpCallId> aborted_;
  HttpCallId last_id_ = 0;
  bool stopping_ = false;

  CURLM* multi_ = nullptr;
  curl_slist* resolve_ = nullptr;
  std::unordered_map<HttpCallId, Running> running_;
  std::unordered_map<CURL*, HttpCallId> ids_;
  std::thread thread_;
};

HttpClient::HttpClient(const config::Config::Http& config, std::shared_ptr<const HttpPolicy> policy)
    : HttpClient(config, std::move(policy), Options{}) {}

HttpClient::HttpClient(const config::Config::Http& config, std::shared_ptr<const HttpPolicy> policy,
                       const Options& options)
    : impl_(std::make_unique<Impl>(config, std::move(policy), options)) {}

HttpClient::~HttpClient() = default;

HttpCallId HttpClient::start(HttpRequest request, Done done) {
  return impl_->start(std::move(request), std::move(done));
}

bool HttpClient::abort(HttpCallId id) {
  return impl_->abort(id);
}

void HttpClient::reconfigure(const config::Config::Http& config, std::shared_ptr<const HttpPolicy> policy) {
  impl_->reconfigure(make_settings(config, std::move(policy)));
}

HttpLoad HttpClient::load() const {
  return impl_->load();
}

}  // namespace durabled::daemon
